import { oncePerPicture } from './dom.js';

/**
 * A list of rows that keeps the newest ones and follows them while the reader is at its end. Rows are made once per picture that the
 * browser draws, and never more than the list holds, so a flood of them costs little.
 */
export class Log {
  #list;
  #most;
  #waiting = [];
  #isAtEnd = true;
  #schedule = oncePerPicture(() => this.#draw());

  constructor(list, most) {
    this.#list = list;
    this.#most = most;
    list.addEventListener('scroll', () => (this.#isAtEnd = list.scrollTop + list.clientHeight >= list.scrollHeight - 24), { passive: true });
    new ResizeObserver(() => this.#follow()).observe(list);
  }

  get isEmpty() {
    return this.#waiting.length === 0 && this.#list.childElementCount === 0;
  }

  /** Adds what `makeRow` returns. */
  add(makeRow) {
    this.#waiting.push(makeRow);
    if (this.#waiting.length > this.#most) this.#waiting.shift();
    this.#schedule();
  }

  clear() {
    this.#waiting = [];
    this.#list.replaceChildren();
  }

  #draw() {
    const list = this.#list;
    list.append(...this.#waiting.map((makeRow) => makeRow()));
    this.#waiting = [];
    while (list.childElementCount > this.#most) list.firstElementChild.remove();
    this.#follow();
  }

  #follow() {
    if (this.#isAtEnd) this.#list.scrollTop = this.#list.scrollHeight;
  }
}
