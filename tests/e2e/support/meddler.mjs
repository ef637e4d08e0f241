// A relay that does to circuits what it can: it stands between pages and a real one.

import { once } from 'node:events';
import { after } from 'node:test';
import WebSocket, { WebSocketServer } from 'ws';
import { frame, kind, readFrame } from './relay-frames.mjs';

/** Share of the pieces of circuits that are damaged while it meddles, and how long it lets pass between two, in milliseconds: a link may come about. */
const RATE = 0.04;
const PEACE = { least: 200, most: 600 };
/** How long a piece is delayed, in milliseconds. */
const DELAY = 700;
/** Pieces of one circuit that are recorded, from its beginning: the handshake and what resumes the session. */
const RECORDED = 8;

/**
 * Starts one in front of a relay; it ends with the test file. `seed` says what it does when.
 * @returns {Promise<Meddler>}
 */
export async function startMeddler(relay, seed) {
  const meddler = new Meddler(relay, seed);
  after(() => meddler.stop());
  await once(meddler.server, 'listening');
  return meddler;
}

const noise = (meddler) => Buffer.from(Array.from({ length: 1 + meddler.below(200) }, () => meddler.below(256)));

/** What it can do to a piece on its way: each gives the messages that go on instead, in order. */
const faults = {
  flip: (meddler, { data, rest, rebuild }) => {
    const bytes = Buffer.from(rest);
    bytes[meddler.below(bytes.length)] ^= 1 << meddler.below(8);
    return [rebuild(bytes)];
  },
  drop: () => [],
  repeat: (meddler, { data }) => [data, data],
  reorder: (meddler, { data, way }) => {
    way.behind.push(data);
    return [];
  },
  delay: (meddler, { data, way }) => {
    setTimeout(() => way.send(data), DELAY);
    return [];
  },
  inject: (meddler, { data, rebuild }) => [rebuild(noise(meddler)), data],
  // A piece of a link that is over comes on one that is not.
  replay: (meddler, { data, rebuild }) => [...meddler.recorded.slice(-1).map(([first]) => rebuild(first)), data],
  // A whole link that is over comes once more, as a new one of the same device: its handshake, its proof and its RESUME.
  forge: (meddler, { data, member, way }) => {
    const old = meddler.recorded.findLast((chunks) => chunks.length > 3 && chunks.from === 'relay');
    if (!old || way.from !== 'relay') return undefined;
    const circuit = 30_000 + meddler.below(30_000);
    return [frame(kind.dialed, member, circuit), ...old.map((chunk) => frame(kind.data, member, circuit, chunk)), data];
  },
};

class Meddler {
  /** How often it did each thing. */
  counts = Object.fromEntries(Object.keys(faults).map((name) => [name, 0]));
  /** Whether it meddles now. */
  isMeddling = false;
  /** The first pieces of each circuit, the latest circuit last; `from` says which side they came from. */
  recorded = [];
  #circuits = new Map();
  #random;
  #peaceUntil = 0;
  #hasDoneAll;

  constructor(relay, seed) {
    this.#random = seed;
    /** Resolves when it has done each thing. */
    this.hasDoneAll = new Promise((resolve) => { this.#hasDoneAll = resolve; });
    this.server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate: false, handleProtocols: ([first]) => first });
    this.server.on('connection', (page) => this.#connect(page, relay));
  }

  get relayUrl() {
    return `ws://127.0.0.1:${this.server.address().port}/relay`;
  }

  /** The next whole number below this one: the same for the same seed. */
  below(count) {
    this.#random = Math.imul(this.#random ^ (this.#random >>> 15), 0x2c1b3c6d) + 0x9e3779b9 | 0;
    const mixed = Math.imul(this.#random ^ (this.#random >>> 12), 0x297a2d39);
    return ((mixed ^ (mixed >>> 15)) >>> 0) % count;
  }

  async stop() {
    for (const client of this.server.clients) client.terminate();
    await new Promise((resolve) => this.server.close(resolve));
  }

  #connect(page, relay) {
    const upstream = new WebSocket(relay.relayUrl, page.protocol || [], { perMessageDeflate: false });
    const opened = once(upstream, 'open').catch(() => page.terminate());
    const pass = (from, to) => {
      const way = { from, behind: [], send: (data) => to.readyState === WebSocket.OPEN && to.send(data) };
      return async (data) => {
        await opened;
        const messages = this.#meddle(data, way);
        const late = messages.length > 0 ? way.behind.splice(0) : [];
        for (const message of [...messages, ...late]) way.send(message);
      };
    };
    page.on('message', pass('page', upstream));
    upstream.on('message', pass('relay', page));
    page.on('close', () => upstream.close());
    upstream.on('close', () => page.close());
    for (const socket of [page, upstream]) socket.on('error', () => socket.terminate());
  }

  #meddle(data, way) {
    const { kind: type, member, circuit, rest } = readFrame(data);
    if (type !== kind.data) return [data];
    this.#record(`${way.from} ${member} ${circuit}`, way.from, rest);
    const now = performance.now();
    if (!this.isMeddling || now < this.#peaceUntil || this.below(1_000) >= RATE * 1_000) return [data];
    const rebuild = (bytes) => frame(kind.data, member, circuit, bytes);
    // What it has done least, so that everything is done.
    for (const [name] of Object.entries(this.counts).sort(([, one], [, other]) => one - other || this.below(3) - 1)) {
      const instead = faults[name](this, { data, rest, member, way, rebuild });
      if (instead) {
        this.counts[name] += 1;
        this.#peaceUntil = now + PEACE.least + this.below(PEACE.most - PEACE.least);
        if (!Object.values(this.counts).includes(0)) this.#hasDoneAll();
        return instead;
      }
    }
    return [data];
  }

  #record(name, from, chunk) {
    let chunks = this.#circuits.get(name);
    if (!chunks) {
      chunks = Object.assign([], { from });
      this.#circuits.set(name, chunks);
      this.recorded.push(chunks);
    }
    if (chunks.length < RECORDED) chunks.push(Buffer.from(chunk));
  }
}
