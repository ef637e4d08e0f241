import { attempt } from './attempt.js';
import type { Message } from './message.js';

/** Bytes of copies at most: 64 MiB. One buffer may be refused any number of times in one turn. */
const BYTES = 64 * 1024 * 1024;

/** The copies of messages that are on their way back to the page. */
export class Returns {
  readonly #copies = new Set<Uint8Array>();
  #bytes = 0;

  /** What the page gets back: a copy that it does not change any more; what it gave where there is no room or memory for one. */
  add({ given, bytes }: Message): unknown {
    if (this.#bytes + bytes.byteLength > BYTES) return given;
    const copy = attempt(() => bytes.slice());
    if (!copy) return given;
    this.#copies.add(copy);
    this.#bytes += copy.byteLength;
    return copy;
  }

  /** Forgets what the page has got back. */
  remove(message: unknown): void {
    // No string is looked up, since it would be read as a whole.
    if (message instanceof Uint8Array && this.#copies.delete(message)) this.#bytes -= message.byteLength;
  }
}
