// The published schemas of the protocol's versions, as official packages bring them, and whether a line fits.
//
// The conformance suite has the JSON schemas of four versions within its code. The oldest version is that of the first
// SDK for TypeScript, whose own types are its schema here.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import vm from 'node:vm';
import Ajv from 'ajv';
import Ajv2020 from 'ajv/dist/2020.js';
import formats from 'ajv-formats';
import * as first from 'first-sdk/types.js';

const OLDEST = '2024-11-05';
const SUITE = new URL('node_modules/@modelcontextprotocol/conformance/dist/index.js', import.meta.url);

// The versions before this one have no form for an error without an id, which is what an unreadable line gets.
const FIRST_WITHOUT_ID = '2025-11-25';

/** The literals as they stand in the suite's code: in a row, and then a table of them by version. */
function embedded() {
  const code = readFileSync(SUITE, 'utf8');
  const table = /const \w+=\{"2025-03-26":(\w+),"2025-06-18":(\w+),"2025-11-25":(\w+),\[(\w+)\]:(\w+)\}/.exec(code);
  assert.ok(table, 'the suite has its schemas elsewhere');
  const [, march, june, november, newest, july] = table;
  assert.match(code, new RegExp(`\\b${newest}=\`2026-07-28\``), 'its newest schema is that of 2026-07-28');
  const literals = code.slice(code.indexOf(`${march}={$schema:`), table.index);
  const schemas = vm.runInNewContext(`let ${literals};[${[march, june, november, july]}]`);
  const plain = JSON.parse(JSON.stringify(schemas));
  return Object.fromEntries(['2025-03-26', '2025-06-18', '2025-11-25', '2026-07-28'].map((version, at) => [version, plain[at]]));
}

/** A version's definitions by name, and whether a value fits one of them. */
class Schema {
  constructor(schema) {
    this.key = '$defs' in schema ? '$defs' : 'definitions';
    this.definitions = schema[this.key];
    this.ajv = new (schema.$schema.includes('2020-12') ? Ajv2020 : Ajv)({ strict: false, allErrors: true });
    formats(this.ajv);
    this.ajv.addFormat('byte', true);
    this.ajv.addSchema({ ...schema, $id: 'mcp' });
  }

  /** What is wrong with a value that should fit a definition. */
  wrong(name, value) {
    const fits = this.ajv.getSchema(`mcp#/${this.key}/${name}`);
    assert.ok(fits, `there is no definition ${name}`);
    return fits(value) ? [] : fits.errors.map(({ instancePath, message }) => `${name}${instancePath}: ${message}`);
  }

  /** The first of these names that this version has. */
  either(...names) {
    return names.find((name) => name in this.definitions);
  }

  /** The error of this code, if the version defines one. */
  error(code) {
    const has = ({ properties }) => [properties, properties?.error?.allOf?.[1]?.properties].some((at) => at?.code?.const === code);
    const names = Object.keys(this.definitions).filter((name) => name.endsWith('Error') && has(this.definitions[name]));
    return names.find((name) => this.definitions[name].properties.error) ?? names[0];
  }

  line(line, method) {
    if (line.method !== undefined) return this.wrong('ServerNotification', line);
    if (line.error) return [...this.wrong(this.either('JSONRPCErrorResponse', 'JSONRPCError'), line), ...this.coded(line)];
    return [
      ...this.wrong(this.either('JSONRPCResultResponse', 'JSONRPCResponse'), line),
      ...this.wrong(RESULTS[method], line.result),
    ];
  }

  coded(line) {
    const name = this.error(line.error.code);
    if (!name) return [];
    return this.wrong(name, this.definitions[name].properties.error ? line : line.error);
  }
}

const RESULTS = {
  'initialize': 'InitializeResult',
  'ping': 'EmptyResult',
  'server/discover': 'DiscoverResult',
  'tools/list': 'ListToolsResult',
  'tools/call': 'CallToolResult',
};

const SCHEMAS = Object.fromEntries(Object.entries(embedded()).map(([version, schema]) => [version, new Schema(schema)]));

function wrongInOldest(line, method) {
  const kind = line.method !== undefined ? 'ServerNotification' : line.error ? 'JSONRPCError' : 'JSONRPCResponse';
  const parts = [[kind, line], ...(line.result ? [[RESULTS[method], line.result]] : [])];
  return parts.flatMap(([name, value]) => {
    const parsed = first[`${name}Schema`].safeParse(value);
    return parsed.success ? [] : parsed.error.issues.map(({ path, message }) => `${name}/${path.join('/')}: ${message}`);
  });
}

/** What is wrong with a line that the server wrote in this version, about a request of this method if it is an answer. */
export function wrong(version, line, method) {
  if (line.error && line.id === undefined && version < FIRST_WITHOUT_ID) return wrong(FIRST_WITHOUT_ID, line, method);
  return version === OLDEST ? wrongInOldest(line, method) : SCHEMAS[version].line(line, method);
}

export const VERSIONS = [OLDEST, ...Object.keys(SCHEMAS)];
