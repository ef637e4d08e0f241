import { nameOf } from './names.js';

/**
 * The devices that are here. Dispatches `join` and `leave` with the peer as `detail`, `rename` with the peer as it was `before` and its
 * new `nickname`, and `change` after any of them.
 */
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
    return this.#here.get(peerId) ?? { id: peerId, key: '', name: `peer ${peerId}`, nickname: '', isIntroduced: false };
  }

  /** A peer says what its user wants to be called. The first time it only introduces itself. */
  rename(peer, nickname) {
    if (this.#here.get(peer.id) !== peer) return;
    const before = { ...peer };
    Object.assign(peer, { nickname, isIntroduced: true });
    if (before.nickname === nickname) return;
    if (before.isIntroduced) this.#tell('rename', { before, nickname });
    this.#tell('change');
  }

  #join(peerId) {
    const key = this.#sockets.stats().peers.find((peer) => peer.peerId === peerId)?.publicKey ?? '';
    const peer = { id: peerId, key, name: key === '' ? `peer ${peerId}` : nameOf(key), nickname: '', isIntroduced: false };
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
