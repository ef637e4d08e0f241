// One page sends as fast as another takes: no more is under way than a window, of which the other says what has come.

const WINDOW_BYTES = 1 << 20;
const WINDOW_MESSAGES = 4_096;
/** The first byte of a message: one that is counted, or what of them has come. */
const [COUNTED, COME] = [0, 1];

export class Talk {
  #send;
  #count = 0;
  #bytes = 0;
  #told = 0;
  #come = 0;
  #wake = () => {};
  #window = 1;

  constructor(send) {
    this.#send = send;
  }

  /** A message of the other page. */
  heard(message) {
    if (message[0] === COME) {
      this.#come = new DataView(message.buffer, message.byteOffset).getUint32(1);
      this.#wake();
      return;
    }
    this.#count += 1;
    this.#bytes += message.length;
    if (this.#count - this.#told >= this.#window / 4) {
      this.#told = this.#count;
      const answer = new Uint8Array(5);
      answer[0] = COME;
      new DataView(answer.buffer).setUint32(1, this.#count);
      this.#send(answer);
    }
  }

  /** Makes ready for messages of this length. */
  begin(length) {
    this.#window = Math.max(4, Math.min(WINDOW_MESSAGES, Math.floor(WINDOW_BYTES / length)));
    [this.#count, this.#bytes, this.#told, this.#come] = [0, 0, 0, 0];
  }

  /** Sends messages for so long; gives how many had come, and how many seconds it took. */
  async pour(length, milliseconds) {
    const message = crypto.getRandomValues(new Uint8Array(Math.min(length, 65_536)));
    message[0] = COUNTED;
    const start = performance.now();
    let sent = 0;
    while (performance.now() - start < milliseconds) {
      while (sent - this.#come < this.#window) {
        this.#send(message);
        sent += 1;
      }
      await new Promise((resolve) => { this.#wake = resolve; });
    }
    const seconds = (performance.now() - start) / 1_000;
    const come = this.#come;
    // What is under way is not left to the next.
    while (this.#come < sent - this.#window / 4) await new Promise((resolve) => { this.#wake = resolve; });
    return { come, seconds };
  }
}
