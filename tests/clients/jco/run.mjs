// Transpiles the component with jco and calls its four tools in Node, against a running gateway.
//
// usage: node run.mjs COMPONENT [URL] [KEY]
//
// URL and KEY default to AIGATEWAY_URL and AIGATEWAY_API_KEY. The key's user needs no mappings; the ones that this
// makes are deleted at the end.

import assert from 'node:assert/strict';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { transpile } from '@bytecodealliance/jco';
import { _setEnv } from '@bytecodealliance/preview2-shim/cli';

const [component, url = process.env.AIGATEWAY_URL, key = process.env.AIGATEWAY_API_KEY] = process.argv.slice(2);
if (!component || !url || !key) {
  console.error('usage: node run.mjs COMPONENT [URL] [KEY]   (or set AIGATEWAY_URL and AIGATEWAY_API_KEY)');
  process.exit(2);
}
// The component's environment: jco has already copied the process's own.
_setEnv({ AIGATEWAY_URL: url, AIGATEWAY_API_KEY: key });

const tools = await load(component);
const alias = `jco-check-${process.pid}`;
const renamed = `${alias}.renamed`;

const checks = {
  'the component exports the four tools and nothing else': () => {
    // jco adds names of its own, with an underscore.
    const names = Object.keys(tools).filter((name) => !name.startsWith('_')).sort();
    assert.deepEqual(names, ['createMapping', 'deleteMapping', 'listModels', 'updateMapping']);
  },

  'a mapping is created as the gateway stores it': async () => {
    const mapping = tools.createMapping(alias, 'openai', 'gpt-4o', 'made by jco', undefined);
    const stored = await row(alias);
    assert.equal(mapping.alias, alias);
    assert.equal(mapping.description, 'made by jco');
    assert.equal(mapping.scope, 'yours');
    assert.equal(mapping.enabled, true);
    assert.equal(mapping.id, BigInt(stored.id));
    assert.equal(mapping.ownerId, stored.owner_id);
    assert.equal(stored.model_name, 'gpt-4o');
  },

  'the list has built-in models and the mapping': () => {
    const list = tools.listModels(undefined, undefined, undefined, undefined);
    assert.ok(list.builtInModels.some((model) => model.providerId === 'openai' && model.alias === model.modelName));
    assert.equal(list.total, list.builtInModels.length + list.customMappings.length);
    const found = tools.listModels(alias.toUpperCase(), undefined, undefined, undefined);
    assert.deepEqual(found.customMappings.map((mapping) => mapping.alias), [alias]);
    assert.equal(found.total, 1);
  },

  'the list comes in parts': () => {
    const first = tools.listModels(undefined, undefined, 1, undefined);
    assert.equal(first.builtInModels.length + first.customMappings.length, 1);
    assert.equal(first.nextOffset, 1);
    assert.match(first.note, /offset = 1/);
  },

  'a taken alias is refused': () => {
    const failure = failureOf(() => tools.createMapping(alias.toUpperCase(), 'glm', 'glm-4', undefined, undefined));
    assert.equal(failure.kind, 'already-exists');
    assert.match(failure.message, /^Failed to create mapping `JCO-CHECK-.*already taken.*\. Choose another alias/);
  },

  'a mapping is changed and renamed': async () => {
    const mapping = tools.updateMapping(alias, renamed, undefined, 'gpt-4o-mini', undefined, undefined, undefined);
    assert.equal(mapping.alias, renamed);
    assert.equal(mapping.modelName, 'gpt-4o-mini');
    assert.equal(mapping.description, 'made by jco');
    assert.equal((await row(renamed)).model_name, 'gpt-4o-mini');
    assert.equal(await row(alias), undefined);
  },

  'a change that the gateway does not store is a failure': async () => {
    const disable = () => tools.updateMapping(renamed, undefined, undefined, undefined, undefined, false, undefined);
    const failure = failureOf(disable);
    assert.equal(failure.kind, 'not-stored');
    assert.match(failure.message, /the gateway kept `enabled` = true/);
    assert.equal((await row(renamed)).enabled, true);
  },

  'a wrong key is refused, and not repeated': () => {
    const wrong = `ak_${'0123456789ab'.repeat(4)}`;
    const failure = failureOf(() => tools.listModels(undefined, undefined, undefined, wrong));
    assert.equal(failure.kind, 'unauthenticated');
    assert.match(failure.message, /^Failed to list models: .*API key.*\. Check AIGATEWAY_API_KEY/);
    assert.ok(!failure.message.includes(wrong));
  },

  'an alias that would leave its path is refused': () => {
    const failure = failureOf(() => tools.deleteMapping('../../../health', undefined));
    assert.equal(failure.kind, 'invalid-argument');
  },

  'a mapping is deleted, and shown as it was': async () => {
    const mapping = tools.deleteMapping(renamed, undefined);
    assert.equal(mapping.alias, renamed);
    assert.equal(await row(renamed), undefined);
    assert.equal(failureOf(() => tools.deleteMapping(renamed, undefined)).kind, 'not-found');
  },
};

let failed = 0;
for (const [name, check] of Object.entries(checks)) {
  try {
    await check();
    console.log(`ok: ${name}`);
  } catch (error) {
    failed += 1;
    console.log(`FAILED: ${name}\n${error.payload?.message ?? error.stack ?? error}`);
  }
}
console.log(`${Object.keys(checks).length - failed} passed, ${failed} failed`);
// The shim's worker, which carries the requests, would keep the process alive.
process.exit(failed === 0 ? 0 : 1);

/** The exports of the component, transpiled next to the packages that it then imports. */
async function load(file) {
  const folder = join(dirname(fileURLToPath(import.meta.url)), 'node_modules', `.transpiled-${process.pid}`);
  const { files } = await transpile(await readFile(file), { name: 'tools' });
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), content);
  }
  await writeFile(join(folder, 'package.json'), '{"type":"module"}');
  try {
    return await import(pathToFileURL(join(folder, 'tools.js')));
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** The failure that a call ends in. */
function failureOf(call) {
  try {
    call();
  } catch (error) {
    assert.ok(error.payload, `not a failure of the tool but of its runtime: ${error.stack ?? error}`);
    return error.payload;
  }
  assert.fail('the call succeeded');
}

/** The gateway's own answer for an alias, asked without the component; undefined when there is none. */
async function row(name) {
  const address = `${url}/api/v1/model-mappings/${encodeURIComponent(name)}`;
  const response = await fetch(address, { headers: { 'X-API-Key': key } });
  assert.ok([200, 404].includes(response.status), `the gateway answered ${response.status}`);
  return response.status === 200 ? response.json() : undefined;
}
