// WebDriver of Firefox: geckodriver starts the browser, then a WebSocket takes commands and tells what happens (WebDriver BiDi).

import { spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { createInterface } from 'node:readline';
import { after } from 'node:test';
import WebSocket from 'ws';
import { systemCommand } from '../../../scripts/debian.mjs';
import { geckodriver } from '../../../scripts/tools.mjs';

const LISTENING = /Listening on (127\.0\.0\.1:\d+)/;
/** Longest time that the browser may take to start, and for any one command, in milliseconds. */
const START_WITHIN = 60_000;
const ANSWER_WITHIN = 30_000;
const CAPABILITIES = {
  webSocketUrl: true,
  'moz:firefoxOptions': { binary: systemCommand('firefox-esr'), args: ['-headless'] },
};

/** Starts a headless Firefox with a profile of its own; it ends with the test file. */
export async function startFirefoxDriver() {
  const driver = spawn(geckodriver.program, ['--port', '0', '--websocket-port', '0'], { stdio: ['ignore', 'pipe', 'ignore'] });
  after(() => end(driver));
  try {
    const socket = new WebSocket(await openSession(await addressOf(driver)), { perMessageDeflate: false });
    await once(socket, 'open');
    return new WebDriver(socket);
  } catch (error) {
    // A file that fails this early comes to no `after`.
    await end(driver);
    throw error;
  }
}

/** Starts the browser; gives the address of its WebSocket. */
async function openSession(address) {
  const response = await fetch(`http://${address}/session`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ capabilities: { alwaysMatch: CAPABILITIES } }),
    signal: AbortSignal.timeout(START_WITHIN),
  });
  const { value } = await response.json();
  if (!response.ok) throw new Error(`Firefox did not start: ${value.message}`);
  return value.capabilities.webSocketUrl;
}

async function addressOf(driver) {
  const output = createInterface({ input: driver.stdout });
  const [line] = await Promise.race([once(output, 'line'), once(driver, 'exit').then(() => [])]);
  const [, address] = LISTENING.exec(line ?? '') ?? [];
  if (!address) throw new Error(`geckodriver did not start: it said ${JSON.stringify(line)}`);
  return address;
}

/** Asks geckodriver to end, which ends the browser too. */
async function end(driver) {
  if (driver.exitCode !== null || driver.pid === undefined) return;
  const ended = once(driver, 'exit');
  driver.kill('SIGTERM');
  await ended;
}

/** A browser under command. Emits the events that were subscribed to, by their names, with their parameters. */
export class WebDriver extends EventEmitter {
  #socket;
  #commands = 0;
  /** What waits for an answer, by the command's number. */
  #waiting = new Map();

  constructor(socket) {
    super();
    this.#socket = socket;
    socket.on('message', (text) => this.#receive(JSON.parse(text)));
  }

  /** Gives a command and waits for its result. */
  async send(method, params = {}) {
    this.#commands += 1;
    const id = this.#commands;
    let timer;
    const answer = await new Promise((resolve, reject) => {
      this.#waiting.set(id, resolve);
      timer = setTimeout(() => reject(new Error(`after ${ANSWER_WITHIN} ms Firefox has not answered ${method}`)), ANSWER_WITHIN);
      this.#socket.send(JSON.stringify({ id, method, params }));
    }).finally(() => {
      clearTimeout(timer);
      this.#waiting.delete(id);
    });
    if (answer.type === 'error') throw new Error(`${method}: ${answer.message}`);
    return answer.result;
  }

  #receive({ id, method, params, ...answer }) {
    if (method) this.emit(method, params);
    else this.#waiting.get(id)?.(answer);
  }
}
