import { attempt } from '../attempt.js';
import type { Companion } from '../engine.js';
import type { StreamHost } from '../seam.js';
import type { PeerSockets as Rust } from '../wasm/host.js';
import { Circuit } from './circuit.js';
import type { Connection, Tell } from './connection.js';
import { Extensions, extensionName } from './extensions.js';
import type { Hypercore, Hyperdrive, KeyPair, Peer, SecretStream } from './hypercore.js';
import { OwnStream } from './own-stream.js';
import type { Fate } from './own-stream.js';
import { farewell } from './web-socket.js';

/** Milliseconds that last words may take. */
const FAREWELL = 1_000;

/** A drive that is ready, and who we are. */
export interface Identity {
  drive: Hyperdrive;
  /** A session of the drive's core, of our own. */
  core: Hypercore;
  /** The device's. */
  keyPair: KeyPair;
}

/** Every secret stream of a drive: those that Rust has us make for relays' circuits, and the user's own. */
export class Streams implements StreamHost, Companion {
  /** Resolves when no stream is a link any more, and what was sent through relays has gone. */
  readonly stopped: Promise<void>;
  #settle!: () => void;
  readonly #links = new Map<number, Connection>();
  readonly #own = new Map<SecretStream, OwnStream>();
  #identity: Identity | undefined;
  #extensions: Extensions | undefined;
  #call: Parameters<Companion['onStart']>[0] | undefined;
  #isStopped = false;

  constructor() {
    this.stopped = new Promise((resolve) => {
      this.#settle = resolve;
    });
  }

  /** The drive is ready; to be told before Rust is made. */
  identify(identity: Identity): void {
    const { core } = identity;
    this.#identity = identity;
    if (this.#isStopped) {
      this.#forgetCore();
      return;
    }
    core.on('peer-add', (peer) => this.#own.get(peer.stream)?.handleDriveOpened(peer));
    core.on('peer-remove', (peer) => this.#own.get(peer.stream)?.handleDriveClosed());
    this.#extensions = new Extensions(core, (topic, bytes, peer) => this.#handleExtension(topic, bytes, peer));
  }

  /** Takes a stream of the user's that has a mux, once. `refuse` is told if it can't be used. */
  add(stream: SecretStream, refuse: Fate['refuse']): void {
    if (this.#isStopped || this.#own.has(stream)) return;
    const own = new OwnStream(stream, this.#tell, {
      adopt: () => this.#links.set(own.link, own),
      drop: () => this.#own.delete(stream),
      refuse,
    });
    this.#own.set(stream, own);
    if (this.#call) void this.#meet(own);
  }

  // What Rust says.

  start(link: number, isInitiator: boolean): void {
    if (!this.#identity) return;
    const { core, keyPair } = this.#identity;
    const circuit = new Circuit(core, { link, isInitiator, keyPair }, this.#tell);
    const { stream } = circuit;
    this.#links.set(link, circuit);
    void stream.opened.then((isOpen) => {
      if (isOpen) this.#tell((rust) => rust.handleStreamOpened(link, isInitiator, stream.remotePublicKey, stream.handshakeHash));
    });
  }

  read(link: number, bytes: Uint8Array): void {
    this.#circuit(link)?.read(bytes);
  }

  drained(link: number): void {
    this.#circuit(link)?.drained();
  }

  open(link: number, id: Uint8Array, handshake: Uint8Array): void {
    const connection = this.#links.get(link);
    if (!connection || connection.open(id, handshake)) return;
    const reason = 'another DriveSockets of this drive has the stream';
    if (connection instanceof OwnStream) connection.refuse(reason);
    // Rust ends the link.
    throw new Error(reason);
  }

  message(link: number, kind: number, payload: Uint8Array): void {
    this.#links.get(link)?.message(kind, payload);
  }

  extension(link: number, topic: string, payload: Uint8Array): void {
    const own = this.#links.get(link);
    if (own instanceof OwnStream) own.extension(extensionName(topic), payload);
  }

  replicate(link: number): void {
    const connection = this.#links.get(link);
    // A drive that is being closed refuses.
    if (connection) attempt(() => this.#identity?.drive.replicate(connection.stream));
  }

  end(link: number): void {
    const connection = this.#links.get(link);
    this.#links.delete(link);
    connection?.leave();
  }

  // What becomes of Rust.

  onStart(call: Parameters<Companion['onStart']>[0]): void {
    this.#call = call;
    for (const own of this.#own.values()) void this.#meet(own);
  }

  onJoin(topic: string): void {
    this.#extensions?.join(topic);
  }

  onLeave(topic: string): void {
    this.#extensions?.leave(topic);
  }

  async onClose(): Promise<void> {
    this.#tell((rust) => rust.sayLastWords());
    const flushed = [...this.#links.values()].map((connection) => connection.flush());
    await within(FAREWELL, Promise.allSettled(flushed));
  }

  onStop(): void {
    if (this.#isStopped) return;
    this.#isStopped = true;
    this.#call = undefined;
    for (const connection of new Set([...this.#links.values(), ...this.#own.values()])) connection.stop();
    this.#links.clear();
    this.#own.clear();
    this.#forgetCore();
    void farewell().then(this.#settle);
  }

  readonly #tell: Tell = <Answer>(run: (rust: Rust) => Answer) => {
    let answer: Answer | undefined;
    this.#call?.((rust) => {
      answer = run(rust as Rust);
    });
    return answer;
  };

  /** Rust is there: a stream that is open becomes a link. */
  async #meet(own: OwnStream): Promise<void> {
    try {
      if (!(await own.stream.opened)) return;
    } catch (cause) {
      own.refuse('its handshake failed', cause);
      return;
    }
    const { remotePublicKey, handshakeHash } = own.stream;
    if (![remotePublicKey, handshakeHash].every((bytes) => (bytes as unknown) instanceof Uint8Array)) {
      own.refuse('it is open and has no remotePublicKey or no handshakeHash');
      return;
    }
    const peer = [...(this.#identity?.core.peers ?? [])].find(({ stream }) => stream === own.stream);
    if (peer) own.handleDriveOpened(peer);
    else own.begin();
  }

  #handleExtension(topic: string, bytes: Uint8Array, peer: Peer): void {
    const own = this.#own.get(peer.stream);
    if (own) this.#tell((rust) => rust.handleExtension(own.link, topic, bytes));
  }

  #circuit(link: number): Circuit | undefined {
    const connection = this.#links.get(link);
    return connection instanceof Circuit ? connection : undefined;
  }

  /** The session takes its extensions with it. */
  #forgetCore(): void {
    this.#identity?.core.close().catch(() => {});
    this.#identity = undefined;
  }
}

/** Waits, but not for ever; and then until what that led to has been done. */
async function within(milliseconds: number, done: Promise<unknown>): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise((resolve) => {
    timer = setTimeout(resolve, milliseconds);
  });
  await Promise.race([done, late]);
  clearTimeout(timer);
  await new Promise((resolve) => setTimeout(resolve));
}
