import type { PeerSocketsError, Problem } from './errors.js';
import type { PeerSockets as Glue } from './wasm/glue.js';

/** A call that waits for Rust. */
export interface Call {
  /** Makes the call. */
  run(rust: Glue): void;
  /** Told instead of `run` that Rust will never be there. */
  fail?(error: PeerSocketsError): void;
}

/** Topics and watchers that are open at most. */
const HANDLES = 4_096;
/** Messages that wait at most. */
const MESSAGES = 256;
/** Bytes of those messages at most: 1 MiB. */
const BYTES = 1024 * 1024;
/** What a message counts for beside its bytes. */
const WEIGHT = 32;

/** What Rust says too when one more is opened. */
export const tooManyHandles: Problem = { code: 'too-many-handles', reason: `${HANDLES} topics and watchers are open already` };

/** The calls made before Rust is there, in order and as many as Rust itself would take. A handle goes by the call that opens it. */
export class Backlog {
  readonly #calls = new Set<Call>();
  /** The handles that are open, and whether messages wait on each. */
  readonly #handles = new Map<Call, boolean>();
  /** What the messages for each peer count for. */
  readonly #peers = new Map<number, number>();
  #messages = 0;
  #bytes = 0;

  /**
   * Adds a call that opens a handle.
   *
   * @returns `false` if too many are open
   */
  open(opening: Call): boolean {
    if (this.#handles.size === HANDLES) return false;
    this.#handles.set(opening, false);
    this.#calls.add(opening);
    return true;
  }

  /** Adds the call that closes a handle. Where it sends nothing, it is as if it had never been opened. */
  close(opening: Call, closing: Call): void {
    if (this.#handles.get(opening)) this.#calls.add(closing);
    else this.#calls.delete(opening);
    this.#handles.delete(opening);
  }

  /** Whether a message of this many bytes may be added. */
  hasRoom(bytes: number): boolean {
    return this.#messages < MESSAGES && this.#bytes + bytes <= BYTES;
  }

  /** What the messages that wait count for, for one peer or for all. */
  weight(peerId?: number): number {
    return peerId === undefined ? this.#bytes + this.#messages * WEIGHT : (this.#peers.get(peerId) ?? 0);
  }

  /** Adds a call that sends a peer a message of this many bytes on a handle. On one that is not open it does nothing. */
  send(opening: Call, call: Call, peerId: number, bytes: number): void {
    if (!this.#handles.has(opening)) return;
    this.#handles.set(opening, true);
    this.#calls.add(call);
    this.#peers.set(peerId, (this.#peers.get(peerId) ?? 0) + bytes + WEIGHT);
    this.#messages += 1;
    this.#bytes += bytes;
  }

  /** The calls, in the order in which they were made. */
  [Symbol.iterator](): Iterator<Call> {
    return this.#calls.values();
  }
}
