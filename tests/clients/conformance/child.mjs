// The server as a child process, message by message.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

// The SDKs send a signal to a server that takes longer than this to end.
const SOON_MS = 2000;

export class Child {
  #process;
  #waiting = new Map();
  #seen;

  /** Starts it: a program, or a list of one and its arguments. Every line that it writes is shown to `seen` first. */
  constructor(command, env, seen = () => {}) {
    const [program, ...args] = [command].flat();
    this.#process = spawn(program, args, { env, stdio: ['pipe', 'pipe', 'ignore'] });
    this.#seen = seen;
    this.#process.stdin.on('error', () => {});
    this.ended = once(this.#process, 'close');
    createInterface({ input: this.#process.stdout }).on('line', (line) => this.#hear(line));
    this.ended.then(() => this.#waiting.forEach(({ hear }) => hear(undefined)));
  }

  send(message) {
    this.sendText(JSON.stringify(message));
  }

  /** Sends a line: text or bytes. */
  sendText(line) {
    this.#process.stdin.write(Buffer.concat([Buffer.from(line), Buffer.from('\n')]));
  }

  /** Sends a request, and gives what is said about it, its answer last. */
  async *ask(message) {
    const said = [];
    let wake = () => {};
    const hear = (line) => {
      said.push(line);
      wake();
    };
    const token = message.params?._meta?.progressToken;
    this.#waiting.set(JSON.stringify(message.id), { hear, token });
    this.send(message);
    for (;;) {
      if (!said.length) await new Promise((woken) => { wake = woken; });
      const line = said.shift();
      if (line === undefined) throw new Error('there will be no answer');
      yield line;
      if (line.method === undefined) return;
    }
  }

  cancel(requestId) {
    this.send({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId } });
    this.#waiting.get(JSON.stringify(requestId))?.hear(undefined);
    this.#waiting.delete(JSON.stringify(requestId));
  }

  /** Ends its input, and waits for its end with this code; one that takes too long is killed, and that is an error. */
  async end(expected = 0) {
    this.#process.stdin.end();
    const late = setTimeout(() => this.#process.kill('SIGKILL'), SOON_MS);
    const [code, signal] = await this.ended;
    clearTimeout(late);
    if (code !== expected) throw new Error(`the server ended with ${code ?? signal}`);
  }

  #hear(line) {
    const message = JSON.parse(line);
    this.#seen(message);
    const asked = message.method === undefined
      ? this.#waiting.get(JSON.stringify(message.id))
      : [...this.#waiting.values()].find(({ token }) => token !== undefined && token === message.params?.progressToken);
    if (message.method === undefined) this.#waiting.delete(JSON.stringify(message.id));
    asked?.hear(message);
  }
}
