import type { PeerSocketsError } from './errors.js';
import type { PeerSockets as Glue } from './wasm/glue.js';

/** A call that waits for Rust. */
export interface Call {
  /** Makes the call. */
  run(rust: Glue): void;
  /** Told instead of `run` that Rust will never be there. */
  fail?(error: PeerSocketsError): void;
}

/** Messages that wait at most. */
const MESSAGES = 256;
/** Bytes of those messages at most: 1 MiB. */
const BYTES = 1024 * 1024;

/** The calls made before Rust is there, in order. Only those that carry messages are bounded: all others must work. */
export class Backlog {
  readonly #calls: Call[] = [];
  #messages = 0;
  #bytes = 0;

  /**
   * Adds a call, which carries a message of this many bytes if it carries one.
   *
   * @returns `false` if there is no room for its message
   */
  add(call: Call, bytes?: number): boolean {
    if (bytes !== undefined) {
      if (this.#messages === MESSAGES || this.#bytes + bytes > BYTES) return false;
      this.#messages += 1;
      this.#bytes += bytes;
    }
    this.#calls.push(call);
    return true;
  }

  /** The calls, in the order in which they were made. */
  [Symbol.iterator](): Iterator<Call> {
    return this.#calls.values();
  }
}
