// A TypeScript SDK on the server: it lists the tools, calls each well and badly, and disconnects.
//
// usage: node check.mjs sdk-1|client-2-legacy|client-2-auto|client-2-modern SERVER
//
// The gateway and the key come from AIGATEWAY_URL and AIGATEWAY_API_KEY.

import assert from 'node:assert/strict';

const [flavor, server] = process.argv.slice(2);
const { AIGATEWAY_URL, AIGATEWAY_API_KEY } = process.env;
const alias = `node-${flavor}-${process.pid}`;
const own = { alias, provider_id: 'openai', model_name: 'gpt-4o' };
const names = ['list_models', 'create_mapping', 'update_mapping', 'delete_mapping'];

// The SDK sends SIGTERM to a server that takes longer than this to end.
const SOON_MS = 2000;

const flavors = {
  'sdk-1': ['2025-11-25', async () => {
    const { Client } = await import('@modelcontextprotocol/sdk/client/index.js');
    const { StdioClientTransport } = await import('@modelcontextprotocol/sdk/client/stdio.js');
    return [new Client({ name: 'check', version: '1' }), StdioClientTransport];
  }],
  'client-2-legacy': ['2025-11-25', () => second('legacy')],
  'client-2-auto': ['2026-07-28', () => second('auto')],
  'client-2-modern': ['2026-07-28', () => second({ pin: '2026-07-28' })],
};

async function second(mode) {
  const { Client } = await import('@modelcontextprotocol/client');
  const { StdioClientTransport } = await import('@modelcontextprotocol/client/stdio');
  return [new Client({ name: 'check', version: '1' }, { versionNegotiation: { mode } }), StdioClientTransport];
}

const [version, open] = flavors[flavor];
const [client, StdioClientTransport] = await open();
const env = { AIGATEWAY_URL, AIGATEWAY_API_KEY };
const transport = new StdioClientTransport({ command: server, env, stderr: 'ignore' });
const trouble = [];
client.onerror = (error) => trouble.push(error);
let agreed;
transport.setProtocolVersion = (said) => { agreed = said; };

const call = (name, args) => client.callTool({ name, arguments: args });

async function good(name, args) {
  const result = await call(name, args);
  assert.ok(!result.isError, JSON.stringify(result));
  assert.deepEqual(JSON.parse(result.content[0].text), result.structuredContent);
  return result.structuredContent;
}

async function bad(name, said, args) {
  const result = await call(name, args);
  assert.equal(result.isError, true, JSON.stringify(result));
  assert.ok(result.content[0].text.startsWith('Error: Failed to '), result.content[0].text);
  assert.ok(result.content[0].text.includes(said), result.content[0].text);
}

const checks = {
  'the version': async () => {
    await client.connect(transport);
    assert.equal(client.getNegotiatedProtocolVersion?.() ?? agreed, version);
    assert.equal(client.getServerVersion()?.name, 'aigateway-mcp');
  },
  'the tools are listed': async () => {
    const { tools } = await client.listTools();
    assert.deepEqual(tools.map((tool) => tool.name), names);
    assert.equal(tools[0].annotations.readOnlyHint, true);
  },
  'create_mapping well': async () => {
    assert.equal((await good('create_mapping', own)).alias, alias);
  },
  'create_mapping badly': async () => {
    await bad('create_mapping', 'taken', own);
    await bad('create_mapping', 'provider_id', { ...own, provider_id: 'nobody' });
    await bad('create_mapping', 'alias', {});
  },
  'list_models well': async () => {
    const found = await good('list_models', { search: alias, limit: '5' });
    assert.deepEqual(found.custom_mappings.map((mapping) => mapping.alias), [alias]);
    assert.ok((await good('list_models', {})).built_in_models.length > 1);
  },
  'list_models badly': () => bad('list_models', 'limit', { limit: 'many' }),
  'update_mapping well': async () => {
    const updated = await good('update_mapping', { alias, model_name: 'gpt-4o-mini', description: 'ü 🦀' });
    assert.equal(updated.description, 'ü 🦀');
  },
  'update_mapping badly': () => bad('update_mapping', 'enabled', { alias, enabled: false }),
  'delete_mapping badly': () => bad('delete_mapping', 'no-such', { alias: 'no-such-mapping' }),
  'delete_mapping well': async () => {
    assert.equal((await good('delete_mapping', { alias })).alias, alias);
  },
  'an unknown tool is an error of the protocol': () =>
    assert.rejects(call('no_such_tool', {}), (error) => error.code === -32602),
  'calls at the same time are each answered': async () => {
    const answers = await Promise.all(Array.from({ length: 50 }, () => good('list_models', { search: 'gpt' })));
    answers.forEach((answer) => assert.deepEqual(answer, answers[0]));
  },
  'progress is told to who asks for it': async () => {
    const steps = [];
    const options = { onprogress: (step) => steps.push(step), resetTimeoutOnProgress: true };
    // A call may be over before there is something to say.
    for (let tries = 0; !steps.length && tries < 50; tries += 1) {
      await client.callTool({ name: 'list_models' }, ...(flavor === 'sdk-1' ? [undefined] : []), options);
    }
    assert.ok(steps.length > 0 && steps.every(({ progress, message }) => progress > 0 && message.endsWith('answered')));
  },
  'a cancelled call does not disturb the next one': async () => {
    // Not by a timer, which may run out in any check after the answer: as soon as the request has left.
    const cancelling = new AbortController();
    const send = transport.send;
    transport.send = async (message, ...rest) => {
      await send.call(transport, message, ...rest);
      if (message.method === 'tools/call') cancelling.abort();
    };
    const options = { signal: cancelling.signal };
    const cancelled = client.callTool({ name: 'list_models' }, ...(flavor === 'sdk-1' ? [undefined] : []), options);
    await assert.rejects(cancelled, (error) => cancelling.signal.aborted && !(error instanceof assert.AssertionError));
    transport.send = send;
    await good('list_models', {});
  },
  'disconnecting': async () => {
    const since = performance.now();
    await client.close();
    assert.ok(performance.now() - since < SOON_MS, `it took ${performance.now() - since} ms`);
  },
  'nothing was wrong with what the server sent': () => {
    // The answer to the cancelled call and its cancellation may have crossed.
    const late = trouble.findIndex((error) => error.message.includes('unknown message ID'));
    if (late >= 0) trouble.splice(late, 1);
    // The SDK looks at progress a moment later than at an answer, even if it read both in their order.
    const wrong = trouble.filter((error) => !error.message.includes('progress notification for an unknown token'));
    assert.deepEqual(wrong.map((error) => error.message.slice(0, 300)), []);
  },
};

let failed = 0;
for (const [name, check] of Object.entries(checks)) {
  try {
    await check();
    console.log(`ok: ${name}`);
  } catch (error) {
    failed += 1;
    console.log(`FAILED: ${name}: ${error.message}`);
  }
}
console.log(`${Object.keys(checks).length - failed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
