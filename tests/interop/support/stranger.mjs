// Whoever has found a room's id: it dials the first device of the room and speaks npm's secret stream and mux with it. All that the
// device says, sealed for it, is kept in plain.

import { once } from 'node:events';
import { after } from 'node:test';
import SecretStream from '@hyperswarm/secret-stream';
import crypto from 'hypercore-crypto';
import Protomux from 'protomux';
import sodium from 'sodium-universal';
import WebSocket from 'ws';
import { frame, kind, readFrame } from '../../e2e/support/relay-frames.mjs';
import { patiently } from './patience.mjs';

const PROTOCOL = 'peersockets/1';
const [INITIATOR, RESPONDER, ID] = crypto.namespace(PROTOCOL, 3);
/** The circuit that it dials on. */
const CIRCUIT = 1;

/** Handshakes and messages as they are. */
const raw = {
  preencode: (state, bytes) => { state.end += bytes.length },
  encode: (state, bytes) => { state.buffer.set(bytes, state.start); state.start += bytes.length },
  decode: (state) => state.buffer.subarray(state.start, state.end),
};

/** Enters a room and dials. It leaves with the test file. */
export async function dialFirst(relay, rendezvousId) {
  const socket = new WebSocket(relay.relayUrl, 'peersockets.relay.v1', { perMessageDeflate: false });
  after(() => socket.terminate());
  await patiently('open socket', once(socket, 'open'));
  const stranger = new Stranger(socket);
  socket.send(frame(kind.join, rendezvousId));
  await patiently('channel of the device', stranger.opened);
  return stranger;
}

class Stranger {
  /** What the device said, frame by frame. */
  heard = [];
  #stream = new SecretStream(true);
  #mux = new Protomux(this.#stream);
  /** Resolves with the id by which the device opens its channel. */
  #asked = new Promise((resolve) => this.#mux.pair({ protocol: PROTOCOL }, (id) => {
    resolve(id);
    return new Promise(() => {});
  }));

  constructor(socket) {
    this.hungUp = new Promise((resolve) => socket.on('message', (bytes) => {
      const { kind: type, rest } = readFrame(bytes);
      if (type === kind.welcome) this.#dial(socket, firstPresent(bytes));
      else if (type === kind.data) this.#stream.rawStream.write(rest);
      else if (type === kind.hungUp) resolve();
    }));
    this.#stream.on('data', (bytes) => this.heard.push(Buffer.from(bytes)));
    this.#stream.on('error', () => {});
  }

  /** Resolves when the handshake is complete and the device has opened its channel. */
  get opened() {
    return this.#asked;
  }

  /** Opens the channel with the proof of whoever knows this key. */
  async prove(key) {
    openChannel(this.#mux, proofOf(this.#stream, key));
  }

  /** Opens the channel that the device has opened, with a proof that is none. */
  async guess() {
    openChannel(this.#mux, { id: await this.#asked, capability: crypto.randomBytes(32) });
  }

  /** Resolves when the device has said these bytes. */
  async hear(bytes) {
    while (!this.heard.some((frame) => frame.includes(bytes))) await patiently('word of it', once(this.#stream, 'data'));
  }

  #dial(socket, member) {
    socket.send(frame(kind.dial, member, CIRCUIT));
    this.#stream.rawStream.on('data', (bytes) => socket.send(frame(kind.data, member, CIRCUIT, bytes)));
  }
}

/** Opens the channel on a mux, with messages of so many types. */
export function openChannel(mux, { id, capability }, { kinds = 0, ...told } = {}) {
  const messages = Array.from({ length: kinds }, () => ({ encoding: raw }));
  const channel = mux.createChannel({ protocol: PROTOCOL, id, handshake: raw, messages, ...told });
  const version = 1;
  const features = 0;
  channel.open(Buffer.concat([Buffer.of(version, features), capability]));
  return channel;
}

/** The channel's id on a stream, and the proof of whoever knows this key. */
export function proofOf({ handshakeHash, isInitiator }, key) {
  return { id: hash(handshakeHash, ID, key), capability: hash(handshakeHash, isInitiator ? INITIATOR : RESPONDER, key) };
}

/** Of a WELCOME with small numbers: type, own member, flags, how many are present, the first of them. */
function firstPresent(welcome) {
  return welcome[4];
}

function hash(handshakeHash, purpose, key) {
  const out = Buffer.alloc(32);
  sodium.crypto_generichash(out, Buffer.concat([purpose, key]), handshakeHash);
  return out;
}
