/**
 * For processes that have the drive itself, with npm `hyperdrive`: they meet pages at relays and are peers like them, and the drive
 * is replicated wherever two of them meet. Importing this module does nothing but define; {@link connect} starts it. Node 20 or newer.
 *
 * @module
 */

import { attempt } from './attempt.js';
import { Engine } from './engine.js';
import type { WasmSource } from './load.js';
import { PeerSockets } from './peer-sockets.js';
import type { Hyperdrive, RawStream, SecretStream } from './native/hypercore.js';
import { prepareNative, readDrive } from './native/prepare.js';
import { replicateOnce } from './native/replication.js';
import { Streams } from './native/streams.js';
import { thrownText } from './text.js';

export type { IceServer, PeerSockets, PeerSocketsEventMap, PeerSocketsOptions } from './peer-sockets.js';
export { Topic } from './topic.js';
export type { TopicEventMap } from './topic.js';
export { PeerEvents } from './peer-events.js';
export type { PeerEventsEventMap } from './peer-events.js';
export { DrainEvent, PathEvent, PeerEvent, PeerSocketsErrorEvent, StateEvent, TopicMessageEvent } from './events.js';
export type { MessageBytes } from './events.js';
export { PeerSocketsError } from './errors.js';
export type { ErrorCode, KnownErrorCode } from './errors.js';
export type { ListenerObject, PeerSocketsEventTarget, TypedListener } from './event-target.js';
export type { SendableMessage } from './message.js';
export type { DrivePeerStats, Path, PeerStats, RelayStats, State, Stats } from './stats.js';
export type { WasmSource } from './load.js';

/** A `Hyperdrive` of npm `hyperdrive` 13. It need not be ready. */
export interface Drive {
  /** The drive key, once it is ready. */
  readonly key: Uint8Array | null;
  /** Its first core, a `Hypercore`. */
  readonly core: object;
  /** Opens it. */
  ready(): Promise<unknown>;
  /** Replicates it on a stream. */
  replicate(...stream: never[]): unknown;
}

/** A device's Ed25519 key pair, as libsodium, Hyperswarm and npm `hypercore-crypto` have it. */
export interface KeyPair {
  /** 64 bytes: the seed, and the public key that belongs to it. */
  readonly secretKey: Uint8Array;
  /** Those 32 bytes of it; nothing else is taken. */
  readonly publicKey?: Uint8Array;
}

/** What {@link connect} takes beside the drive. */
export interface ConnectOptions {
  /**
   * The relays to meet at, 3 at most: absolute `ws:`, `wss:`, `http:` or `https:` URLs; a string may hold several, with spaces or
   * commas between. Default: none, for streams that {@link DriveSockets.handle} is given.
   */
  relays?: string | string[];
  /**
   * By what peers know this process. With `swarm.keyPair` of a Hyperswarm it is one peer, be it met at a relay or by Hyperswarm; with
   * a key pair that is kept, it has the same peer id after a restart, and is known again wherever that key is used. Two processes with one
   * key pair do not meet. Default: a new one.
   */
  keyPair?: KeyPair;
  /** Milliseconds for which what was sent to a peer is kept after it left without a goodbye; 0 for none. Default: 120,000. */
  sessionTime?: number;
  /** Where the WebAssembly comes from; by default `peersockets-host.wasm` beside this module. Loaded once for all. */
  wasm?: WasmSource;
}

/** What {@link DriveSockets.handle} takes beside the stream. */
export interface HandleOptions {
  /** Whether the drive is replicated on the stream. Default: `true`; it does no harm if it is already. */
  replicate?: boolean;
}

/**
 * The peers of a drive that this process has: those at relays and those on streams of its own.
 *
 * While it is open, its connections and timers keep the process running. It closes by itself when the drive is closed.
 */
export class DriveSockets extends PeerSockets {
  readonly #engine: Engine;
  readonly #streams: Streams;
  readonly #drive: Hyperdrive | undefined;

  /**
   * What {@link connect} returns. It never throws.
   *
   * @param drive - the drive
   * @param options - relays, key pair and WebAssembly, where the defaults don't fit
   */
  constructor(drive: Drive, options?: ConnectOptions | null) {
    const streams = new Streams();
    let engine!: Engine;
    super(null, undefined, (host) => {
      engine = new Engine(() => prepareNative({ drive, options }, streams), host, streams);
      return engine;
    });
    this.#engine = engine;
    this.#streams = streams;
    this.#drive = attempt(() => readDrive(drive));
    const close = () => void this.close();
    attempt(() => this.#drive?.once('close', close));
    void streams.stopped.then(() => attempt(() => this.#drive?.off('close', close)));
  }

  /**
   * Meets whoever is at the other end of a stream: a Hyperswarm connection, or what `drive.replicate()` gave and is piped somewhere. With
   * this package there, it is a peer as at a relay; without, it is one if it replicates the drive, and messages are extensions:
   * what `drive.core.registerExtension('peersockets/v0/' + topic, { encoding: 'binary', onmessage })` gets and sends there.
   * Once for each stream; again does nothing. The stream stays the caller's: it is not ended by us, not even by
   * {@link DriveSockets.close}.
   *
   * It never throws; an `error` event says `bad-stream`: it is none, `drive.replicate` refuses it, or another one of this drive has it. Leave the extensions of topics that
   * are joined to us: where two register one name on a core, its messages go to one of them.
   *
   * @param stream - a secret stream of npm `@hyperswarm/secret-stream`, or a stream that has one as `noiseStream`
   * @param options - what not to do with it
   * @returns the stream
   */
  handle<Stream extends object>(stream: Stream, options?: HandleOptions | null): Stream {
    const secret = attempt(() => (stream as unknown as RawStream).noiseStream);
    if (!isSecretStream(secret)) {
      this.#refuse('handle() was given what is no secret stream');
      return stream;
    }
    const replicate = attempt(() => options?.replicate) ?? true;
    const take = () => this.#take(stream, secret, replicate);
    // Without a mux nobody reads the stream yet: what comes waits there, and none of it is missed.
    if (this.state === 'loading' && !secret.userData) this.#takeWhenReady(secret, take);
    else take();
    return stream;
  }

  /**
   * Leaves for good, as {@link PeerSockets.close} says: streams of one's own and the drive's replication on them go on.
   *
   * @returns a promise that resolves when what was sent last has gone, and the connections to relays are closed; the process may end
   *   then. Whoever does not read it, a stream's remote or a relay, is given a second
   */
  override close(): Promise<void> {
    super.close();
    return this.#streams.stopped;
  }

  /** An error of a stream is told by its end; whoever has a mux on it listens for that, and until then we do. */
  #takeWhenReady(secret: SecretStream, take: () => void): void {
    const ignore = () => {};
    attempt(() => secret.on('error', ignore));
    const takeOver = () => {
      take();
      attempt(() => secret.off('error', ignore));
    };
    void this.ready.then(takeOver, takeOver);
  }

  #take(stream: object, secret: SecretStream, replicate: boolean): void {
    const drive = this.#drive;
    if (!drive || this.state === 'closed' || secret.destroying) return;
    try {
      if (replicate) replicateOnce(drive, stream, secret);
      else drive.core.constructor.createProtocolStream(stream);
      this.#streams.add(secret, (reason, cause) => this.#refuse(`the stream could not be used: ${reason}`, cause));
    } catch (cause) {
      this.#refuse(`the stream could not be used: ${thrownText(cause)}`, cause);
    }
  }

  #refuse(reason: string, cause?: unknown): void {
    if (this.state === 'closed') return;
    this.#engine.report({ code: 'bad-stream', reason, cause }, () => undefined);
  }
}

/**
 * Makes a drive's process a peer of the pages and processes that have the same drive open. Returns at once and never throws: what is
 * wrong comes as an `error` event, `bad-drive` (no Hyperdrive, or one that can't be opened), `bad-options`, `wasm-load-failed`, and
 * the codes of relays.
 *
 * @param drive - a Hyperdrive, ready or not
 * @param options - the relays to meet at, and more
 */
export function connect(drive: Drive, options?: ConnectOptions | null): DriveSockets {
  return new DriveSockets(drive, options);
}

function isSecretStream(value: unknown): value is SecretStream {
  return typeof value === 'object' && value !== null && 'handshakeHash' in value && 'opened' in value;
}
