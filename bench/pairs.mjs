// Two pages of one browser that are connected, in each of the ways that `bench/direct.mjs` measures.

import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { Failure } from '../scripts/failure.mjs';
import { packageDirectory, root } from '../scripts/paths.mjs';
import { open } from './chromium.mjs';
import { startServer } from './servers.mjs';

/** Chromium connects pages by the addresses of this machine, not by names that it asks the network for. */
export const DIRECT_FLAGS = ['--disable-features=WebRtcHideLocalIpsWithMdns'];

const CONNECTED_WITHIN = 30_000;
/** For so long a direct path of ours is waited for. */
export const DIRECT_WITHIN = 10_000;

/**
 * Runs something with what pages need beside a browser: our relay, which serves all of them, and a PeerServer.
 * @param {(servers: { origin: string, broker: string }) => Promise<unknown>} use
 */
export async function withServers(use) {
  const relay = await startServer('relay', ['--www', join(root, 'bench'), '--pkg', packageDirectory]);
  try {
    const broker = await startServer('peerserver');
    try {
      return await use({ origin: `http://${relay.address}`, broker: broker.address.split(':')[1] });
    } finally {
      await broker.stop();
    }
  } finally {
    await relay.stop();
  }
}

/** Opens pairs. Of each, the second page is the one that came later; it sends. */
export class Pairs {
  #browser;
  #servers;
  /** Whether the first pair of ours has got a direct path: if not, no other waits for one. */
  #isDirect = true;

  constructor(browser, servers) {
    this.#browser = browser;
    this.#servers = servers;
  }

  /**
   * Two pages that are connected.
   * @param {{ kind: 'ours' | 'channel' | 'peerjs', mark?: number }} way
   * @param {number} length of the messages to come
   */
  async open({ kind, mark }, length = 0) {
    const pages = await this.meet({ kind, mark }, length);
    const ready = Promise.all(pages.map((page) => page.evaluate(() => window.ready)));
    await inTime(CONNECTED_WITHIN, ready, failLate(`two pages do not connect: ${kind}`));
    if (kind === 'ours' && this.#isDirect) this.#isDirect = await this.#becomesDirect(pages);
    return pages;
  }

  /** Two pages that are about to connect. */
  meet({ kind, mark }, length = 0) {
    const parameters = { length, ...(mark && { mark }) };
    if (kind === 'channel') return this.#offererAndAnswerer(parameters);
    if (kind === 'ours') {
      const url = this.#address(kind, { drive: randomBytes(32).toString('hex') });
      return this.#waiterAndComer(url, () => url);
    }
    const url = (more) => this.#address(kind, { ...parameters, ...more, port: this.#servers.broker });
    return this.#waiterAndComer(url({}), (to) => url({ to }));
  }

  async #offererAndAnswerer(parameters) {
    const url = this.#address('channel', parameters);
    const [answerer, offerer] = await open(this.#browser, [url, url]);
    const answer = await answerer.evaluate((offer) => window.answer(offer), await offerer.evaluate(() => window.offer()));
    await offerer.evaluate((answer) => window.accept(answer), answer);
    return [answerer, offerer];
  }

  /** A page that waits, and one that comes to where it does. */
  async #waiterAndComer(url, comersUrl) {
    const [waiter] = await open(this.#browser, [url]);
    const waiting = await inTime(CONNECTED_WITHIN, waiter.evaluate(() => window.waiting), failLate(`${url} finds no server`));
    const [comer] = await open(this.#browser, [comersUrl(waiting)]);
    return [waiter, comer];
  }

  /** Whether both pages send directly in time. */
  async #becomesDirect(pages) {
    const direct = Promise.all(pages.map((page) => page.evaluate(() => window.direct())));
    return inTime(DIRECT_WITHIN, direct.then(() => true), () => false);
  }

  #address(kind, parameters) {
    return `${this.#servers.origin}/pages/direct/${kind}.html?${new URLSearchParams(parameters)}`;
  }
}

/** Closes pages with their contexts. */
export async function close(pages) {
  await Promise.all(pages.map((page) => page.context().close()));
}

/** What a promise gives, or what `late` does if that takes longer. */
export async function inTime(milliseconds, promise, late) {
  let timer;
  const isLate = new Promise((resolve) => { timer = setTimeout(resolve, milliseconds); });
  try {
    return await Promise.race([promise, isLate.then(late)]);
  } finally {
    clearTimeout(timer);
    // What comes later ends with its page.
    promise.catch(() => {});
  }
}

/** Gives up, for want of time. */
export function failLate(what) {
  return () => { throw new Failure(what, 'run it again when the machine has less to do'); };
}
