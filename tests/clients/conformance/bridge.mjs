// A bridge from streamable HTTP on loopback to a server that speaks on stdin and stdout, for suites that know HTTP only.
//
// A session of the older versions has a process of its own; each request of 2026-07-28, which knows no sessions, has one
// too. What HTTP adds to the protocol (sessions, headers that repeat the body, status codes, the check of Host and
// Origin) is done here. What a message says is the server's, word for word.

import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { Child } from './child.mjs';

const MODERN = '2026-07-28';
const VERSIONS = ['2024-11-05', '2025-03-26', '2025-06-18', '2025-11-25', MODERN];
const VERSION_KEY = 'io.modelcontextprotocol/protocolVersion';
const LOCAL = /^(localhost|127\.0\.0\.1|\[::1\])(:\d+)?$/;
const CODES = { parse: -32700, invalid: -32600, mismatch: -32020 };

// The status of an error of the modern era, which is that of its answer.
const STATUS = { [-32601]: 404, [-32602]: 400, [-32600]: 400, [-32700]: 400, [-32020]: 400, [-32021]: 400, [-32022]: 400 };

/** Starts it: an address, and how to end it with every process that it started. */
export async function bridge(command, env) {
  const sessions = new Map();
  const children = new Set();
  const start = () => {
    const child = new Child(command, env);
    children.add(child);
    child.ended.then(() => children.delete(child));
    return child;
  };
  const http = createServer((request, response) => {
    serve({ request, response, sessions, start }).catch((error) => refuse(response, 500, -32603, String(error)));
  });
  await new Promise((listening) => http.listen(0, '127.0.0.1', listening));
  const close = async () => {
    http.closeAllConnections();
    await Promise.all([...children].map((child) => child.end()));
    await new Promise((closed) => http.close(closed));
  };
  return { url: `http://127.0.0.1:${http.address().port}/mcp`, close };
}

async function serve(exchange) {
  const { request, response } = exchange;
  const { host, origin } = request.headers;
  if (!LOCAL.test(host ?? '') || (origin && !LOCAL.test(origin.replace(/^https?:\/\//, '')))) {
    return refuse(response, 403, CODES.invalid, 'this bridge is for this machine');
  }
  if (request.method === 'DELETE') return endSession(exchange);
  // No stream but those of answers: the server has nothing to say on its own.
  if (request.method !== 'POST') return response.writeHead(405, { allow: 'POST, DELETE' }).end();
  const message = await body(request).catch(() => undefined);
  if (message === undefined) return refuse(response, 400, CODES.parse, 'the body is not JSON');
  const stated = request.headers['mcp-protocol-version'];
  const modern = stated === MODERN || message.params?._meta?.[VERSION_KEY] !== undefined;
  return modern ? serveModern(exchange, message) : serveLegacy(exchange, message, stated);
}

async function body(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return JSON.parse(Buffer.concat(chunks).toString());
}

async function endSession({ request, response, sessions }) {
  const id = request.headers['mcp-session-id'];
  const child = sessions.get(id);
  sessions.delete(id);
  await child?.end();
  response.writeHead(child ? 204 : 404).end();
}

async function serveLegacy({ request, response, sessions, start }, message, stated) {
  if (stated && !VERSIONS.includes(stated)) {
    return refuse(response, 400, CODES.invalid, `the version ${stated} is unknown`, message.id);
  }
  let id = request.headers['mcp-session-id'];
  if (message.method === 'initialize') {
    id = randomUUID();
    sessions.set(id, start());
  }
  const child = sessions.get(id);
  if (!child) return refuse(response, id ? 404 : 400, CODES.invalid, 'there is no such session', message.id);
  return pass(child, message, response, { 'mcp-session-id': id }, () => 200);
}

async function serveModern({ request, response, start }, message) {
  const wrong = wrongHeader(request.headers, message);
  if (wrong) return refuse(response, 400, CODES.mismatch, wrong, message.id);
  const child = start();
  try {
    await pass(child, message, response, {}, (answer) => STATUS[answer.error?.code] ?? 200);
  } finally {
    await child.end();
  }
}

/** The headers that have to say what the body says. */
function wrongHeader(headers, { method, params = {} }) {
  const wanted = {
    'mcp-protocol-version': params._meta?.[VERSION_KEY],
    'mcp-method': method,
    'mcp-name': { 'tools/call': params.name, 'prompts/get': params.name, 'resources/read': params.uri }[method],
  };
  const wrong = Object.entries(wanted).find(([name, value]) => value !== undefined && headers[name]?.trim() !== value);
  return wrong && `the header ${wrong[0]} is not \`${wrong[1]}\``;
}

/** Takes a message to the server. An answer that something is said before comes as a stream of events. */
async function pass(child, message, response, headers, status) {
  if (message.id === undefined || message.method === undefined) {
    child.send(message);
    return response.writeHead(202, headers).end();
  }
  // A client that hangs up cancels.
  response.on('close', () => response.writableFinished || child.cancel(message.id));
  for await (const line of child.ask(message)) {
    const last = line.method === undefined;
    if (last && !response.headersSent) return json(response, status(line), line, headers);
    if (!response.headersSent) response.writeHead(200, { 'content-type': 'text/event-stream', ...headers });
    response.write(`event: message\ndata: ${JSON.stringify(line)}\n\n`);
  }
  return response.end();
}

function refuse(response, status, code, message, id) {
  if (response.headersSent) return response.end();
  return json(response, status, { jsonrpc: '2.0', ...(id !== undefined && { id }), error: { code, message } });
}

function json(response, status, message, headers = {}) {
  return response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(message));
}
