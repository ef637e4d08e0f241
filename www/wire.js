import { preview } from './bytes.js';

/** Errors that say that a topic was not joined. */
const REFUSALS = new Set(['bad-topic', 'topic-too-long', 'too-many-topics', 'too-many-handles']);
/** Devices that are counted for one topic at most; the one that was counted first is forgotten. */
const COUNTED = 100;

/**
 * The topics that this page joined, and all that passes on them. Dispatches `frame` for each message, in or out, `topics` when one
 * was joined or left, `refused` when one cannot be joined, and `trouble` for what else goes wrong on one; the last two with its `name`
 * and the package's `error` as `detail`.
 */
export class Wire extends EventTarget {
  #sockets;
  #peers;
  #topics = new Map();

  constructor(sockets, peers) {
    super();
    this.#sockets = sockets;
    this.#peers = peers;
  }

  /** The topics, each with its name and counters. */
  get topics() {
    return [...this.#topics.values()];
  }

  /** Joins a topic, if that was not done; `listener` gets each message as `(peer, bytes)`. */
  join(name, listener) {
    if (!this.#topics.has(name)) this.#topics.set(name, this.#open(name));
    const topic = this.#topics.get(name);
    if (listener) topic.listeners.push(listener);
    this.dispatchEvent(new Event('topics'));
  }

  /** Leaves a topic that nothing else on this page listens to. */
  leave(name) {
    this.#topics.get(name)?.handle.close();
    this.#topics.delete(name);
    this.dispatchEvent(new Event('topics'));
  }

  /** Sends to one peer. */
  send(name, peer, bytes) {
    const topic = this.#topics.get(name);
    if (!topic) return;
    topic.handle.send(peer.id, bytes);
    this.#count(topic, 'out', peer, bytes);
  }

  /** Sends to everyone here, and tells how many that are. */
  sendToAll(name, bytes) {
    const peers = this.#peers.all;
    for (const peer of peers) this.send(name, peer, bytes);
    return peers.length;
  }

  #open(name) {
    const handle = this.#sockets.join(name);
    const topic = { name, handle, listeners: [], total: newCounter(), devices: new Map() };
    handle.addEventListener('error', (error) => this.#fail(name, error));
    handle.addEventListener('message', ({ peerId, message }) => {
      const peer = this.#peers.get(peerId);
      this.#count(topic, 'in', peer, message);
      for (const listener of topic.listeners) listener(peer, message);
    });
    return topic;
  }

  #fail(name, error) {
    const isRefused = REFUSALS.has(error.code);
    if (isRefused) this.leave(name);
    this.dispatchEvent(new CustomEvent(isRefused ? 'refused' : 'trouble', { detail: { name, error } }));
  }

  #count(topic, direction, peer, bytes) {
    const { devices } = topic;
    if (!devices.has(peer.id)) devices.set(peer.id, { peer, ...newCounter() });
    if (devices.size > COUNTED) devices.delete(devices.keys().next().value);
    for (const counter of [topic.total, devices.get(peer.id)]) {
      counter[direction].messages += 1;
      counter[direction].bytes += bytes.length;
    }
    const frame = { time: new Date(), direction, topic: topic.name, peer, size: bytes.length, preview: preview(bytes) };
    this.dispatchEvent(new CustomEvent('frame', { detail: frame }));
  }
}

function newCounter() {
  return { in: { messages: 0, bytes: 0 }, out: { messages: 0, bytes: 0 } };
}
