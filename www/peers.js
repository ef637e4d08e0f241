import { nameOf } from './names.js';

/** The devices that are here. Dispatches `join` and `leave` with the peer as `detail`, and `change` after either or a new nickname. */
export class Peers extends EventTarget {
  #sockets;
  #here = new Map();

  constructor(sockets) {
    super();
    this.#sockets = sockets;
    const events = sockets.watch();
    events.addEventListener('join', ({ peerId }) => this.#join(peerId));
    events.addEventListener('leave', ({ peerId }) => this.#leave(peerId));
  }

  /** All peers, oldest first. */
  get all() {
    return [...this.#here.values()];
  }

  get count() {
    return this.#here.size;
  }

  /** The peer with this id; one that is gone has no key and only its number for a name. */
  get(peerId) {
    return this.#here.get(peerId) ?? { id: peerId, key: '', name: `peer ${peerId}`, nickname: '' };
  }

  /** A peer says what its user wants to be called. */
  rename(peer, nickname) {
    if (peer.nickname === nickname || this.#here.get(peer.id) !== peer) return;
    peer.nickname = nickname;
    this.#tell('change');
  }

  #join(peerId) {
    const key = this.#sockets.stats().peers.find((peer) => peer.peerId === peerId)?.publicKey ?? '';
    const peer = { id: peerId, key, name: key === '' ? `peer ${peerId}` : nameOf(key), nickname: '' };
    this.#here.set(peerId, peer);
    this.#tell('join', peer);
    this.#tell('change');
  }

  #leave(peerId) {
    const peer = this.get(peerId);
    this.#here.delete(peerId);
    this.#tell('leave', peer);
    this.#tell('change');
  }

  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
