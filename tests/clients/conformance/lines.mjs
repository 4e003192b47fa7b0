// Every line that the server writes, in every version, against that version's published schema.
//
// usage: node lines.mjs SERVER
//
// The gateway and the key come from AIGATEWAY_URL and AIGATEWAY_API_KEY.

import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Child } from './child.mjs';
import { VERSIONS, wrong } from './schemas.mjs';

const [server] = process.argv.slice(2);
const { AIGATEWAY_URL, AIGATEWAY_API_KEY } = process.env;
const MODERN = '2026-07-28';

/** A session over the raw pipe, in one version. It remembers what is wrong with what the server writes. */
class Session {
  trouble = [];
  lines = 0;
  invalid = 0;
  #methods = new Map();
  #last = 0;

  constructor(version, command = server, env = {}) {
    this.version = version;
    this.modern = version === MODERN;
    this.child = new Child(command, { AIGATEWAY_URL, AIGATEWAY_API_KEY, ...env }, (line) => this.#see(line));
  }

  #see(line) {
    this.lines += 1;
    this.invalid += line.error?.code === -32600;
    const method = this.#methods.get(JSON.stringify(line.id))?.shift();
    if (line.id !== undefined && method === undefined) this.trouble.push(`nobody asked for ${line.id}`);
    this.trouble.push(...wrong(this.version, line, method).map((text) => `${text} in ${JSON.stringify(line).slice(0, 500)}`));
  }

  /** A request as this version has it. */
  request(method, params, id = (this.#last += 1)) {
    const meta = {
      'io.modelcontextprotocol/protocolVersion': MODERN,
      'io.modelcontextprotocol/clientCapabilities': {},
      'io.modelcontextprotocol/clientInfo': { name: 'lines', version: '1' },
    };
    const of = this.modern ? { ...params, _meta: { ...meta, ...params?._meta } } : params;
    return { jsonrpc: '2.0', id, method, ...(of && { params: of }) };
  }

  /** An answer with this id is to come, to this method. */
  #expect(id, method) {
    const key = JSON.stringify(id);
    this.#methods.set(key, [...(this.#methods.get(key) ?? []), method]);
  }

  /** What is said about a request, its answer last. */
  async all(request) {
    this.#expect(request.id, request.method);
    const lines = [];
    for await (const line of this.child.ask(request)) lines.push(line);
    return lines;
  }

  async ask(method, params, id) {
    return (await this.all(this.request(method, params, id))).at(-1);
  }

  call(name, args, id) {
    return this.ask('tools/call', { name, arguments: args }, id);
  }

  /** The answer to a line that is no request: text or bytes. */
  async refused(text, id) {
    const before = this.lines;
    if (id !== undefined) this.#expect(id, 'unreadable');
    this.child.sendText(text);
    // Lines are answered in their order: the answer to this one comes before that to the next.
    await this.signOfLife();
    assert.equal(this.lines, before + 2, `${text.slice(0, 100)} is answered once`);
  }

  /** A request that comes a second time before its answer. */
  async twice(request) {
    const before = this.invalid;
    for (const method of [request.method, request.method]) this.#expect(request.id, method);
    this.child.sendText([request, request].map((message) => JSON.stringify(message)).join('\n'));
    while (this.#methods.get(JSON.stringify(request.id)).length) await this.signOfLife();
    assert.equal(this.invalid, before + 1, 'one of the two is refused');
  }

  /** A request that is taken back at once. Its answer may be on the way already. */
  cancelled(request) {
    this.#expect(request.id, request.method);
    this.child.send(request);
    this.child.cancel(request.id);
  }

  signOfLife() {
    return this.modern ? this.ask('server/discover') : this.ask('ping');
  }
}

async function good(session, name, args, id) {
  const { result } = await session.call(name, args, id);
  assert.ok(result && !result.isError, JSON.stringify(result));
}

async function bad(session, name, args) {
  const { result } = await session.call(name, args);
  assert.equal(result?.isError, true, JSON.stringify(result));
}

async function error(code, asked) {
  const answer = await asked;
  assert.equal(answer.error?.code, code, JSON.stringify(answer));
}

/** Opens a session as its version does, and gives the version that was agreed on. */
async function opened(session, protocolVersion = session.version) {
  if (session.modern) {
    const { result } = await session.ask('server/discover');
    return result.supportedVersions.find((version) => version === protocolVersion);
  }
  const client = { capabilities: {}, clientInfo: { name: 'lines', version: '1' } };
  const { result } = await session.ask('initialize', { protocolVersion, ...client }, 'open');
  session.child.send({ jsonrpc: '2.0', method: 'notifications/initialized' });
  return result.protocolVersion;
}

/** Runs in a session of its own, and ends that with this code. */
async function apart(session, run, code = 0) {
  const trouble = await run(session).catch((error) => error);
  await session.child.end(code).catch((error) => { if (!trouble) throw error; });
  if (trouble) throw trouble;
  assert.deepEqual(session.trouble, []);
}

const checks = {
  'opening': async (session) => {
    assert.equal(await opened(session), session.version);
  },
  'ping': async (session) => {
    if (session.modern) return error(-32601, session.ask('ping'));
    return assert.deepEqual((await session.ask('ping')).result, {});
  },
  'the list of tools': async (session) => assert.equal((await session.ask('tools/list')).result.tools.length, 4),
  'every tool, well and badly': async (session) => {
    const alias = `lines-${session.version}-${process.pid}`;
    const mapping = { alias, provider_id: 'openai', model_name: 'gpt-4o', description: 'ü 🦀 "\n' };
    await good(session, 'create_mapping', mapping);
    await bad(session, 'create_mapping', mapping);
    await good(session, 'list_models', {}, 'a list');
    await good(session, 'list_models', { search: alias, limit: '1' }, -1);
    await bad(session, 'list_models', { limit: -1 });
    await good(session, 'update_mapping', { alias, model_name: 'gpt-4o-mini' });
    await bad(session, 'update_mapping', { alias, enabled: false });
    await good(session, 'delete_mapping', { alias });
    await bad(session, 'delete_mapping', { alias });
    await bad(session, 'list_models', { api_key: 'ak_wrong' });
  },
  'unknown methods and tools': async (session) => {
    for (const method of ['prompts/list', 'resources/read', 'logging/setLevel', 'completion/complete', 'no/such', '']) {
      await error(-32601, session.ask(method, {}));
    }
    await error(-32602, session.call('no_such_tool', {}));
    if (session.modern) await error(-32601, session.ask('initialize', {}));
  },
  'malformed calls': async (session) => {
    for (const params of [{}, { name: 5 }, { name: 'list_models', arguments: [] }]) {
      await error(-32602, session.ask('tools/call', params));
    }
  },
  'an unknown version': async (session) => {
    const meta = { 'io.modelcontextprotocol/protocolVersion': '2099-01-01', 'io.modelcontextprotocol/clientCapabilities': {} };
    const request = { jsonrpc: '2.0', id: 'later', method: 'tools/list', params: { _meta: meta } };
    if (session.modern) await error(-32022, session.all(request).then((lines) => lines.at(-1)));
  },
  'lines that are no message': async (session) => {
    for (const text of ['nonsense', '[]', '5', '{"jsonrpc":"2.0","id":null,"method":"ping"}']) await session.refused(text);
    await session.refused('{"jsonrpc":"1.0","id":"old","method":"ping"}', 'old');
    await session.refused('{"jsonrpc":"2.0","id":"broken","method":"ping","params":{', 'broken');
    await session.refused(Buffer.from([0x22, 0xff, 0x22]));
  },
  'ids that are none, or taken': async (session) => {
    for (const id of [1.5, true, [1], {}]) await session.refused(JSON.stringify({ jsonrpc: '2.0', id, method: 'ping' }));
    await session.refused('{"jsonrpc":"2.0","id":1e300,"method":"ping"}', 1e300);
    await session.twice(session.request('tools/call', { name: 'list_models', arguments: {} }, 'twice'));
  },
  'a line over 16 MiB': async (session) => {
    const params = 'x'.repeat(16 << 20);
    await session.refused(params.concat('x'));
    await session.refused(JSON.stringify({ jsonrpc: '2.0', id: 'long', method: 'ping', params }), 'long');
  },
  'a request that comes too early': async ({ version, modern }) => {
    await apart(new Session(version), async (session) => {
      await error(-32602, session.all({ jsonrpc: '2.0', id: 1, method: 'tools/list' }).then((lines) => lines.at(-1)));
      const meta = { 'io.modelcontextprotocol/protocolVersion': MODERN };
      const without = { jsonrpc: '2.0', id: 2, method: 'tools/list', params: { _meta: meta } };
      if (modern) await error(-32602, session.all(without).then((lines) => lines.at(-1)));
    });
  },
  'another version is offered': async ({ version, modern }) => {
    if (modern) return;
    await apart(new Session('2025-11-25'), async (session) => {
      assert.equal(await opened(session, version === '2025-11-25' ? '1999-01-01' : `${version}-draft`), '2025-11-25');
    });
  },
  'a result with the head of the audit log': async ({ version }) => {
    const folder = await mkdtemp(join(tmpdir(), 'lines-'));
    await apart(new Session(version, server, { AIGATEWAY_AUDIT_LOG: join(folder, 'audit.jsonl') }), async (session) => {
      await opened(session);
      const { result } = await session.call('list_models', {});
      assert.match(result._meta['aigateway-mcp/audit-head'].sha256, /^[0-9a-f]{64}$/);
    });
    await rm(folder, { recursive: true });
  },
  // A pool of instances is reserved at the start: address space that is never used.
  'no tools, because they cannot be loaded': ({ version }) => {
    const short = ['sh', '-c', 'ulimit -v 4000000; exec "$0"', server];
    return apart(new Session(version, short), async (session) => {
      await opened(session);
      await error(-32603, session.ask('tools/list'));
      await error(-32603, session.call('list_models', {}));
    }, 1);
  },
  'progress': async (session) => {
    for (const progressToken of ['a token', 7]) {
      const params = { name: 'list_models', arguments: {}, _meta: { progressToken } };
      let said = [];
      // A call may be over before there is something to say.
      for (let tries = 0; said.length < 2 && tries < 50; tries += 1) {
        said = await session.all(session.request('tools/call', params));
        assert.ok(said.at(-1).result, JSON.stringify(said));
      }
      const steps = said.slice(0, -1).map(({ params: step }) => step);
      assert.ok(steps.length > 0, 'nothing was said of it');
      for (const [at, step] of steps.entries()) {
        assert.equal(step.progressToken, progressToken);
        assert.ok(step.progress > (steps[at - 1]?.progress ?? 0), JSON.stringify(steps));
      }
    }
  },
  'a cancelled call': async (session) => {
    session.cancelled(session.request('tools/call', { name: 'list_models', arguments: {} }));
    await session.signOfLife();
  },
};

// What no version allows, with the method that it would answer.
const SPOILED = [
  [{ jsonrpc: '2.0', id: 1, result: {} }, 'tools/list'],
  [{ jsonrpc: '2.0', id: 1, result: { tools: [{ name: 'x', description: null, inputSchema: { type: 'object' } }] } }, 'tools/list'],
  [{ jsonrpc: '2.0', id: 1, result: { content: [{ type: 'text' }] } }, 'tools/call'],
  [{ jsonrpc: '2.0', id: 1, result: { content: 'text', resultType: 'complete' } }, 'tools/call'],
  [{ jsonrpc: '1.0', id: 1, error: { code: 1, message: 'x' } }, 'tools/call'],
  [{ jsonrpc: '2.0', id: null, error: { code: 1, message: 'x' } }, 'tools/call'],
  [{ jsonrpc: '2.0', id: 1, error: { code: 1 } }, 'tools/call'],
  [{ jsonrpc: '2.0', method: 'notifications/progress', params: { progress: 1 } }],
  [{ jsonrpc: '2.0', method: 'notifications/no-such' }],
];

let passed = 0;
let failed = 0;

async function check(session, name, run) {
  try {
    await run(session);
    assert.deepEqual(session.trouble.splice(0), []);
    passed += 1;
    console.log(`ok: ${session.version}: ${name}`);
  } catch (trouble) {
    failed += 1;
    console.log(`FAILED: ${session.version}: ${name}: ${trouble.message}`);
  }
}

for (const version of VERSIONS) {
  const session = new Session(version);
  await check(session, 'what is wrong is found', () => {
    for (const [line, method] of SPOILED) assert.notDeepEqual(wrong(version, line, method), [], JSON.stringify(line));
  });
  for (const [name, run] of Object.entries(checks)) await check(session, name, run);
  await check(session, 'the end', () => session.child.end());
  console.log(`${session.lines} lines in ${version}`);
}
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
