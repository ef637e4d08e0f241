// What comes from outside, one after the other, for a test that waits for it.

/** Longest time that a test waits for one thing, in milliseconds. */
const PATIENCE = 20_000;

/** A queue that is waited for. */
export class Arrivals {
  #arrived = [];
  #waiting = [];

  /** Something came. */
  push(thing) {
    const waiting = this.#waiting.shift();
    if (waiting) waiting(thing);
    else this.#arrived.push(thing);
  }

  /** What came and was not taken. */
  get rest() {
    return [...this.#arrived];
  }

  /** The next one. */
  async next() {
    if (this.#arrived.length > 0) return this.#arrived.shift();
    const { promise, resolve, reject } = Promise.withResolvers?.() ?? withResolvers();
    const timer = setTimeout(() => reject(new Error(`nothing came in ${PATIENCE} ms`)), PATIENCE);
    this.#waiting.push(resolve);
    return promise.finally(() => clearTimeout(timer));
  }

  /** The next ones. */
  async take(count) {
    const taken = [];
    while (taken.length < count) taken.push(await this.next());
    return taken;
  }
}

/** Node 20 has no `Promise.withResolvers`. */
function withResolvers() {
  const resolvers = {};
  resolvers.promise = new Promise((resolve, reject) => Object.assign(resolvers, { resolve, reject }));
  return resolvers;
}
