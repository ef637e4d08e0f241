// The real relay as a process: starts it, stops it, kills it, and brings it back on the same port.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { after } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const ours = `${root}target/release/peersockets-relay`;
const LISTENING = /^listening on (http:\/\/\S+)$/;
const METRICS = /^metrics for Prometheus on (\S+)$/;

/** A test opens in seconds what one address opens in hours: the limits per address are not the subject, unless a test says so. */
const GENEROUS = ['--new-connections-burst', '10000', '--room-members-per-address', '256'];

/**
 * Starts a relay that ends with the test or file that calls. Options: `www` and `pkg`, the directories to serve (by default the
 * fixture pages and the package; a page must come from a relay, because one that Playwright makes up may not connect to
 * loopback), `options`, more words for its command line, `limits: 'default'` for the limits that users get, `program` where it is
 * not the one that is built here, and `address` and `enter`, an address beyond loopback and the words that run a program where it is.
 * @returns {Promise<Relay>}
 */
export async function startRelay({
  www = `${root}tests/e2e/pages`, pkg = `${root}pkg`, options = [], limits = 'generous', program = ours, address = '127.0.0.1', enter = [],
} = {}) {
  const relay = new Relay([...enter, program], address, ['--www', www, '--pkg', pkg, ...(limits === 'default' ? [] : GENEROUS), ...options]);
  after(() => relay.kill());
  await relay.start();
  return relay;
}

/** All that were started. */
const relays = [];

process.on('exit', (code) => {
  if (code === 0) return;
  for (const { url, log } of relays) if (log) console.error(`# log of the relay at ${url}:\n${log}`);
});

class Relay {
  #command;
  #options;
  #process;
  #log = [];
  #listen;

  constructor(command, address, options) {
    this.#command = command;
    this.#listen = `${address}:0`;
    this.#options = options;
    relays.push(this);
  }

  /** Where it serves pages, such as `http://127.0.0.1:40123`. */
  get url() {
    return `http://${this.#listen}`;
  }

  /** What a page connects to, such as `ws://127.0.0.1:40123/relay`. */
  get relayUrl() {
    return `ws://${this.#listen}/relay`;
  }

  /** Where its metrics are, with the option `--admin-listen`. */
  metricsUrl;

  /** Its process id. */
  get pid() {
    return this.#process.pid;
  }

  /** The end of what it logged. */
  get log() {
    return this.#log.slice(-100).join('\n');
  }

  /** All that it logged. */
  get completeLog() {
    return this.#log.join('\n');
  }

  /** Starts it, on the same port as before. */
  async start() {
    const [command, ...words] = [...this.#command, '--listen', this.#listen, ...this.#options];
    const child = spawn(command, words, { stdio: ['ignore', 'pipe', 'pipe'] });
    this.#process = child;
    createInterface({ input: child.stderr }).on('line', (line) => this.#log.push(line));
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const { value: line } = await lines.next();
    const [, url] = LISTENING.exec(line ?? '') ?? [];
    if (!url) throw new Error(`the relay did not start: it said ${JSON.stringify(line)}, and logged\n${this.log}`);
    this.#listen = new URL(url).host;
    if (this.#options.includes('--admin-listen')) this.metricsUrl = await metricsUrl(lines);
  }

  /** Asks it to end, and waits until it has. */
  stop() {
    return this.#end('SIGTERM');
  }

  /** Ends it without a word, as a crash does. */
  kill() {
    return this.#end('SIGKILL');
  }

  async #end(signal) {
    const child = this.#process;
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exit = once(child, 'exit');
    child.kill(signal);
    await exit;
  }
}

/** What the relay says of it; the line comes at once. */
async function metricsUrl(lines) {
  for (;;) {
    const { value, done } = await lines.next();
    if (done) throw new Error('the relay did not say where its metrics are');
    const [, url] = METRICS.exec(value) ?? [];
    if (url) return url;
  }
}
