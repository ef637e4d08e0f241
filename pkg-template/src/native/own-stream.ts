import { Connection } from './connection.js';
import type { Tell } from './connection.js';
import type { Peer, SecretStream } from './hypercore.js';

/** Milliseconds within which one sign of life is enough. */
const SIGN_OF_LIFE = 1_000;

/** A secret stream that the user has: a Hyperswarm connection, for instance. It may become a link more than once. */
export class OwnStream extends Connection {
  /** The drive's own core on this stream, while it is open on both sides. */
  #peer: Peer | undefined;
  #heardAt = 0;
  readonly #adopt: (stream: OwnStream) => void;

  /** `adopt` makes it a link. */
  constructor(stream: SecretStream, tell: Tell, adopt: (stream: OwnStream) => void) {
    super(stream, tell);
    this.#adopt = adopt;
    stream.on('data', () => this.#hear());
  }

  /** Becomes a link: Rust is told all that is known of the stream. */
  override begin(): void {
    if (this.link !== 0 || this.stream.destroying) return;
    this.link = this.tell((rust) => rust.handleStream()) ?? 0;
    if (this.link === 0) return;
    this.#adopt(this);
    const { isInitiator, remotePublicKey, handshakeHash } = this.stream;
    this.tell((rust) => rust.handleStreamOpened(this.link, isInitiator, remotePublicKey, handshakeHash));
    if (this.#peer) this.tell((rust) => rust.handleDriveOpened(this.link));
  }

  /** The drive's core was opened on both sides: whoever did that may be a peer, if it was none. */
  handleDriveOpened(peer: Peer): void {
    this.#peer = peer;
    if (this.link === 0) this.begin();
    else this.tell((rust) => rust.handleDriveOpened(this.link));
  }

  /** It was closed. */
  handleDriveClosed(): void {
    this.#peer = undefined;
    this.tell((rust) => rust.handleDriveClosed(this.link));
  }

  /** Sends an extension's message on the drive's core. */
  extension(name: string, payload: Uint8Array): void {
    this.#peer?.extension(name, payload);
    this.tellIfFull();
  }

  /** Whatever comes shows that the remote is alive: an answer of ours may be behind much of replication. */
  #hear(): void {
    const now = performance.now();
    if (this.link === 0 || now - this.#heardAt < SIGN_OF_LIFE) return;
    this.#heardAt = now;
    this.tell((rust) => rust.handleStreamAlive(this.link));
  }
}
