// Between pages and a relay: passes everything on, keeps it, and lets a test change it.

import { once } from 'node:events';
import { after } from 'node:test';
import WebSocket, { WebSocketServer } from 'ws';
import { FrameLog, kind, readFrame } from './relay-frames.mjs';

/**
 * Starts a recorder in front of a relay; it ends with the test file. `change(bytes, from)` may return other bytes for a binary
 * message on its way from the `page` or the `relay`.
 * @returns {Promise<Recorder>}
 */
export async function startRecorder(relay, { change = (bytes) => bytes } = {}) {
  const recorder = new Recorder(relay, change);
  after(() => recorder.stop());
  await once(recorder.server, 'listening');
  return recorder;
}

class Recorder {
  /** One for each socket of a page, in the order in which they came. */
  connections = [];
  /** Their frames, of all connections; `from` is `page` or `relay`. */
  frames = new FrameLog();

  constructor(relay, change) {
    this.server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate: false, handleProtocols: ([first]) => first });
    this.server.on('connection', (page, request) => this.#connect(page, request, relay, change));
  }

  /** What a page connects to instead of the relay. */
  get relayUrl() {
    return `ws://127.0.0.1:${this.server.address().port}/relay`;
  }

  /** All that pages and relay said to each other: heads of requests, every message by itself, and the bytes of every circuit in one piece. */
  get everything() {
    return this.connections.flatMap((connection) => [connection.head, ...connection.messages.map(({ bytes }) => bytes), ...connection.circuits]);
  }

  /** Lets nothing pass any more on the connections that are there, and closes none: so a device loses them that changes networks. */
  freeze() {
    for (const connection of this.connections) connection.isFrozen = true;
  }

  /** Keeps what would pass, on all connections that are there, until {@link Recorder.release}: so it is while packets are dropped. */
  hold() {
    for (const connection of this.connections) connection.held ??= [];
  }

  /** Lets it pass, in its order. */
  release() {
    for (const connection of this.connections) {
      const held = connection.held ?? [];
      connection.held = undefined;
      for (const send of held) send();
    }
  }

  async stop() {
    for (const client of this.server.clients) client.terminate();
    await new Promise((resolve) => this.server.close(resolve));
  }

  #connect(page, request, relay, change) {
    const connection = new Connection(request);
    this.connections.push(connection);
    const upstream = new WebSocket(relay.relayUrl, page.protocol || [], { perMessageDeflate: false });
    const opened = once(upstream, 'open').catch(() => page.terminate());
    const pass = (from, to, ready) => async (data, isBinary) => {
      await ready;
      if (connection.isFrozen) return;
      const bytes = isBinary ? change(data, from) : data;
      connection.messages.push({ from, bytes, isBinary });
      const send = () => to.send(bytes, { binary: isBinary });
      if (connection.held) connection.held.push(send);
      else send();
      if (isBinary) this.frames.add(from, bytes);
    };
    page.on('message', pass('page', upstream, opened));
    upstream.on('message', pass('relay', page));
    page.on('close', async (code, reason) => {
      await opened;
      if (!connection.isFrozen) close(upstream, code, reason);
    });
    upstream.on('close', (code, reason) => connection.isFrozen || close(page, code, reason));
    for (const socket of [page, upstream]) socket.on('error', () => socket.terminate());
  }
}

/** What one page's socket carried. */
class Connection {
  /** Whether nothing passes any more. */
  isFrozen = false;
  /** What is to pass later, if nothing does now. */
  held;
  /** Every message in its order: `from` the `page` or the `relay`. */
  messages = [];

  constructor(request) {
    /** The request that opened it: address and header fields. */
    this.head = Buffer.from([request.url, ...request.rawHeaders].join('\n'));
  }

  /** What each circuit carried in each direction, as one buffer each: what chunks cut apart is whole again. */
  get circuits() {
    return [...this.#chunks().values()].map((chunks) => Buffer.concat(chunks));
  }

  /** The chunks that came from one side, of all circuits. */
  chunksFrom(side) {
    return [...this.#chunks()].filter(([name]) => name.startsWith(side)).flatMap(([, chunks]) => chunks);
  }

  #chunks() {
    const circuits = new Map();
    for (const { from, bytes, isBinary } of this.messages) {
      const frame = isBinary && readFrame(bytes);
      if (frame?.kind !== kind.data) continue;
      const name = `${from} ${frame.member} ${frame.circuit}`;
      circuits.set(name, [...circuits.get(name) ?? [], frame.rest]);
    }
    return circuits;
  }
}

/** Closes a socket as the other one was closed; 1005 and 1006 say that no code was given, and that there was no farewell. */
function close(socket, code, reason) {
  if (code === 1006) socket.terminate();
  else if (code === 1005) socket.close();
  else socket.close(code, reason);
}
