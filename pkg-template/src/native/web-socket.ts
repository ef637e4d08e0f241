import { WebSocket as Socket } from 'ws';

/** Bytes of the longest message of a relay. A longer one ends the socket, before there is memory for it. */
const RELAY_MESSAGE = 65_568;

const OPTIONS = {
  perMessageDeflate: false,
  maxPayload: RELAY_MESSAGE,
  // A message that ends a circuit is to come when all that came on it before is through npm's streams, which takes until the turn ends.
  allowSynchronousEvents: false,
  /** Milliseconds that a farewell may take, with what was sent before it. */
  closeTimeout: 1_000,
};

/** For each socket that is being closed, what resolves when it is. */
const closing = new Set<Promise<void>>();

/** Resolves when every socket that is being closed is closed; the farewell of each takes a second at most. */
export async function farewell(): Promise<void> {
  await Promise.all(closing);
}

/** The browser's WebSocket as far as Rust uses it, for Node, of which version 20 has none: the bundle puts it in the global's place. */
export class WebSocket extends EventTarget {
  /** Rust asks for no other. */
  binaryType = 'arraybuffer';
  readonly #socket: Socket;
  readonly #closed: Promise<void>;

  constructor(url: string, protocols: string | string[] = []) {
    super();
    this.#socket = new Socket(url, protocols, OPTIONS);
    this.#socket.binaryType = 'arraybuffer';
    this.#closed = new Promise((resolve) => this.#socket.on('close', resolve));
    this.#socket
      .on('open', () => this.dispatchEvent(new Event('open')))
      .on('message', (bytes, isBinary) => this.dispatchEvent(new MessageEvent('message', { data: isBinary ? bytes : '' })))
      .on('close', () => this.dispatchEvent(new Event('close')))
      // `close` follows; without a listener it would end the process.
      .on('error', () => {});
  }

  get bufferedAmount(): number {
    return this.#socket.bufferedAmount;
  }

  /** Sends a copy: the bytes lie in Rust's memory, and what is not written at once is read later. */
  send(message: Uint8Array): void {
    if (this.#socket.readyState === Socket.OPEN) this.#socket.send(message.slice());
  }

  close(): void {
    closing.add(this.#closed);
    void this.#closed.then(() => closing.delete(this.#closed));
    this.#socket.close();
  }
}
