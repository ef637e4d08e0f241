// Processes that have a drive and this package, as their parent sees them.

import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import crypto from 'hypercore-crypto';
import { Arrivals } from './arrivals.mjs';
import { patiently } from './patience.mjs';

const program = fileURLToPath(new URL('./native-program.mjs', import.meta.url));

/**
 * Starts one that ends with the test: with a drive of its own, or the one with this key, in hex. It is in the drive's rooms on these
 * relays, and has joined the topic `chat`. Errors that are not `expected` are printed.
 * @returns {Promise<NativeProcess>}
 */
export async function startNativeProcess(t, { key, relays, expected = /^$/ }) {
  const directory = await mkdtemp(join(tmpdir(), 'native-'));
  const native = new NativeProcess({ directory, key, relays: relays.map(({ relayUrl }) => relayUrl), expected, keyPair: crypto.keyPair() });
  t.after(async () => {
    await native.kill();
    await rm(directory, { recursive: true, force: true });
  });
  await native.start();
  return native;
}

class NativeProcess {
  /** Peer ids. */
  joins = new Arrivals();
  leaves = new Arrivals();
  /** `{ peerId, message: [length, SHA-256] }`, of `chat`. */
  messages = new Arrivals();
  #options;
  #process;
  #answers = new Map();
  #last = 0;

  constructor(options) {
    this.#options = options;
  }

  /** The drive's key, in hex. */
  get key() {
    return this.#options.key;
  }

  /** By what peers know it, in hex. */
  get deviceKey() {
    return this.#options.keyPair.publicKey.toString('hex');
  }

  /** Starts it, with the same files and key pair as before. */
  async start() {
    const { directory, key, relays, expected, keyPair } = this.#options;
    const options = JSON.stringify({ directory, key, relays, secretKey: keyPair.secretKey.toString('hex') });
    const ready = new Arrivals();
    this.#process = fork(program, [options]);
    this.#process.on('message', ({ event, id, value, error }) => {
      if (id !== undefined) this.#answers.get(id)({ value, error });
      else ({ ready, join: this.joins, leave: this.leaves, message: this.messages })[event]?.push(value);
      if (event === 'error' && !expected.test(value)) console.error(`# the process with the drive: ${value}`);
    });
    this.#options.key = await ready.next();
  }

  /** Has it do something, and gives what that gives. */
  async call(name, ...parameters) {
    const id = this.#last += 1;
    const answered = new Promise((resolve) => this.#answers.set(id, resolve));
    this.#process.send({ id, name, parameters });
    const { value, error } = await patiently(`answer to ${name}`, answered);
    if (error) throw new Error(error);
    return value;
  }

  /** Ends it without a word. */
  async kill() {
    const { exitCode, signalCode } = this.#process;
    if (exitCode !== null || signalCode !== null) return;
    const exit = once(this.#process, 'exit');
    this.#process.kill('SIGKILL');
    await exit;
  }
}
