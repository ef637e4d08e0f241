import { Connection } from './connection.js';
import type { Tell } from './connection.js';
import type { Peer, SecretStream } from './hypercore.js';

/** Milliseconds within which one sign of life is enough. */
const SIGN_OF_LIFE = 1_000;
/** Milliseconds that a link lives if it is worth anything: as long as it may take to prove the drive key. */
const WORTHWHILE = 10_000;
/** Links in a row that were not worthwhile, after which the stream becomes none any more: its remote opens channels to break them. */
const FUTILE_LINKS = 16;

/** What becomes of a stream. */
export interface Fate {
  /** It is a link now. */
  adopt(own: OwnStream): void;
  /** It is over. */
  drop(own: OwnStream): void;
  /** It can't be used; the user is to be told why. */
  refuse(reason: string, cause?: unknown): void;
}

/** A secret stream that the user has: a Hyperswarm connection, for instance. It may become a link more than once. */
export class OwnStream extends Connection {
  /** The drive's own core on this stream, while it is open on both sides. */
  #peer: Peer | undefined;
  #heardAt = 0;
  #begunAt = 0;
  #futile = 0;
  readonly #fate: Fate;

  constructor(stream: SecretStream, tell: Tell, fate: Fate) {
    super(stream, tell);
    this.#fate = fate;
  }

  /** Whatever comes shows that the remote is alive: an answer of ours may be behind much of replication. */
  override onData(): void {
    const now = performance.now();
    if (this.link === 0 || now - this.#heardAt < SIGN_OF_LIFE) return;
    this.#heardAt = now;
    this.tell((rust) => rust.handleStreamAlive(this.link));
  }

  override onClose(): void {
    this.#fate.drop(this);
    super.onClose();
  }

  /** Becomes a link: Rust is told all that is known of the stream. */
  override begin(): void {
    if (this.link !== 0 || this.stream.destroying || this.#futile >= FUTILE_LINKS) return;
    this.#begunAt = performance.now();
    this.link = this.tell((rust) => rust.handleStream()) ?? 0;
    if (this.link === 0) return;
    this.#fate.adopt(this);
    const { isInitiator, remotePublicKey, handshakeHash } = this.stream;
    this.tell((rust) => rust.handleStreamOpened(this.link, isInitiator, remotePublicKey, handshakeHash));
    if (this.#peer) this.tell((rust) => rust.handleDriveOpened(this.link));
  }

  override leave(): void {
    const wasWorthwhile = performance.now() - this.#begunAt >= WORTHWHILE;
    if (this.link !== 0) this.#futile = wasWorthwhile ? 0 : this.#futile + 1;
    super.leave();
  }

  /** It can't be used: nothing of ours stays on it. */
  refuse(reason: string, cause?: unknown): void {
    this.#fate.drop(this);
    this.stop();
    this.#fate.refuse(reason, cause);
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
}
