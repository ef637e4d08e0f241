import { byId } from './dom.js';
import { decodeText, encodeText } from './bytes.js';
import { recall, remember } from './memory.js';

/** A topic of its own, so that `chat` carries nothing but what people say. */
const TOPIC = 'demo/nickname';
const STORED = 'nickname';
/** Characters of a nickname at most. */
const LENGTH = 24;

/**
 * What users want to be called. Each device tells every other one when they meet, and all of them again at each change: the nickname as
 * text, empty for none. Dispatches `change` when this device's user took another one.
 */
export class Nickname extends EventTarget {
  #wire;
  #own = tidy(recall(STORED));

  constructor(peers, wire) {
    super();
    this.#wire = wire;
    wire.join(TOPIC, (peer, bytes) => peers.rename(peer, read(bytes)));
    peers.addEventListener('join', ({ detail: peer }) => wire.send(TOPIC, peer, encodeText(this.#own)));
    this.#followField();
  }

  /** What this device's user wants to be called; `''` for nothing in particular. */
  get own() {
    return this.#own;
  }

  #followField() {
    const field = byId('nickname');
    field.value = this.#own;
    const leave = () => byId('message').focus();
    byId('nickname-form').addEventListener('submit', (event) => {
      event.preventDefault();
      leave();
    });
    field.addEventListener('keydown', ({ key }) => {
      if (key !== 'Escape') return;
      field.value = this.#own;
      leave();
    });
    // Enter moves the focus away, which is what makes the browser tell of the change.
    field.addEventListener('change', () => this.#take(tidy(field.value)));
  }

  #take(nickname) {
    byId('nickname').value = nickname;
    if (nickname === this.#own) return;
    this.#own = nickname;
    remember(STORED, nickname);
    this.#wire.sendToAll(TOPIC, encodeText(nickname));
    this.dispatchEvent(new Event('change'));
  }
}

/** A nickname from a stranger's bytes; `''` if they are none. */
function read(bytes) {
  return tidy(decodeText(bytes.subarray(0, 32 * LENGTH)) ?? '');
}

/** In one line, without characters that cannot be seen, and not too long. */
function tidy(name) {
  const line = name.slice(0, 8 * LENGTH).replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\s]+/gu, ' ').trim();
  return Array.from(line).slice(0, LENGTH).join('').trim();
}
