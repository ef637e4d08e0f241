// What two pages have between them, to be measured: numbered messages that the other page checks one by one, and short ones to and fro.

/** Messages of this length are about the others: which of these one is, and two numbers. All others are longer. */
const SHORT = 32;
const [HELLO, PING, PONG, END, CHECKED] = [0, 1, 2, 3, 4];

/**
 * @typedef {object} Way how messages go to the other page
 * @property {(message: Uint8Array) => Promise<unknown> | undefined} send if it has to wait, until when; the bytes may change afterwards
 * @property {() => boolean} isFull whether to wait before more is sent
 * @property {() => Promise<unknown>} drained asked when it is full: when to go on
 */

export class Line {
  #way;
  #hear = {};
  /** How many messages came with the number that was next, and the bytes of all. */
  #inOrder = 0;
  #bytes = 0;

  /** When the first message came, in milliseconds since 1970. */
  greeted = new Promise((resolve) => { this.#hear[HELLO] = resolve; });

  /** @param {Way} way */
  constructor(way) {
    this.#way = way;
  }

  /** A message of the other page. */
  heard(message) {
    const numbers = new DataView(message.buffer, message.byteOffset, message.byteLength);
    if (message.length > SHORT) {
      const isNext = numbers.getUint32(0) === this.#inOrder && numbers.getUint32(message.length - 4) === this.#inOrder;
      if (isNext) this.#inOrder += 1;
      this.#bytes += message.length;
      return;
    }
    const kind = numbers.getUint32(0);
    if (kind === PING) {
      this.#say(PONG);
    } else if (kind === END) {
      this.#say(CHECKED, this.#inOrder, this.#bytes);
      [this.#inOrder, this.#bytes] = [0, 0];
    } else if (kind === HELLO) {
      this.#hear[HELLO](performance.timeOrigin + performance.now());
    } else {
      this.#hear[kind]([numbers.getFloat64(4), numbers.getFloat64(12)]);
    }
  }

  /** The first message. */
  greet() {
    this.#say(HELLO);
  }

  /**
   * Sends messages of this length: so many, or for so many milliseconds.
   * @returns {Promise<{ sent: number, seconds: number, isWhole: boolean }>} how many it were, how long until the other page had answered
   * that it had them, and whether it had all, in order, with all their bytes
   */
  async pour(length, { count = Infinity, milliseconds = Infinity }) {
    const message = new Uint8Array(length);
    const numbers = new DataView(message.buffer);
    const start = performance.now();
    let sent = 0;
    while (sent < count && performance.now() - start < milliseconds) {
      while (sent < count && !this.#way.isFull()) {
        numbers.setUint32(0, sent);
        numbers.setUint32(length - 4, sent);
        const waiting = this.#way.send(message);
        sent += 1;
        if (waiting) await waiting;
      }
      if (this.#way.isFull()) await this.#way.drained();
    }
    const checked = this.#next(CHECKED);
    this.#say(END);
    const [inOrder, bytes] = await checked;
    return { sent, seconds: (performance.now() - start) / 1_000, isWhole: inOrder === sent && bytes === sent * length };
  }

  /** Sends a short message, and the next one when the other page has answered: the milliseconds that each took. */
  async exchange(count) {
    const times = [];
    for (let index = 0; index < count; index += 1) {
      const answered = this.#next(PONG);
      const start = performance.now();
      this.#say(PING);
      await answered;
      times.push(performance.now() - start);
    }
    return times;
  }

  #next(kind) {
    return new Promise((resolve) => { this.#hear[kind] = resolve; });
  }

  #say(kind, one = 0, other = 0) {
    const message = new Uint8Array(SHORT);
    const numbers = new DataView(message.buffer);
    numbers.setUint32(0, kind);
    numbers.setFloat64(4, one);
    numbers.setFloat64(12, other);
    this.#way.send(message);
  }
}
