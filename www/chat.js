import { byId, element, foreignText } from './dom.js';
import { formatHex, formatSize } from './bytes.js';
import { Log } from './log.js';
import { readMessage, tidyName, writeMessage } from './message.js';
import { flagOf } from './names.js';
import { namesOf } from './roster.js';

const TOPIC = 'chat';
/** Rows that are kept. */
const ROWS = 300;
/** Bytes shown of a message that is no text. */
const SHOWN_BYTES = 64;
const NICKNAME = 'nickname';

/** The conversation on the current drive. Dispatches `nickname` when the user took another one. */
export class Chat extends EventTarget {
  #peers;
  #wire;
  #log = new Log(byId('chat-log'), ROWS);
  #nickname = tidyName(sessionStorage.getItem(NICKNAME) ?? '');
  #isConnected = false;

  constructor(peers, wire) {
    super();
    this.#peers = peers;
    this.#wire = wire;
    wire.join(TOPIC, (peer, bytes) => this.#receive(peer, bytes));
    peers.addEventListener('join', ({ detail: peer }) => this.#welcome(peer));
    peers.addEventListener('leave', ({ detail: peer }) => this.#addEvent(peer, 'left'));
    this.#followComposer();
    this.#followNickname();
  }

  /** What the user wants to be called; `''` for nothing in particular. */
  get nickname() {
    return this.#nickname;
  }

  /** Whether a relay is reached: only then is being alone worth a word. */
  setConnected(isConnected) {
    this.#isConnected = isConnected;
    this.#showWhetherAlone();
  }

  #welcome(peer) {
    if (this.#nickname !== '') this.#wire.send(TOPIC, peer, writeMessage({ name: this.#nickname }));
    this.#addEvent(peer, 'joined');
  }

  #say(text) {
    const count = this.#wire.sendToAll(TOPIC, writeMessage({ text, name: this.#nickname || undefined }));
    const fate = count === 0 ? 'not sent: nobody else is here' : `sent to ${count}`;
    this.#add(() => element('div', { className: 'message own' }, header([element('b', { textContent: 'you' })], fate), words(text)));
  }

  #receive(peer, bytes) {
    const { text, name, foreign } = readMessage(bytes);
    if (name !== undefined) this.#peers.rename(peer, name);
    if (text === undefined && name !== undefined) return;
    const { length } = bytes;
    const start = text === undefined && foreign === undefined ? bytes.slice(0, SHOWN_BYTES) : undefined;
    const names = { ...peer };
    this.#add(() => {
      if (text !== undefined) return row(names, 'message', words(text));
      if (foreign !== undefined) return row(names, 'message', words(foreign), `plain text, ${formatSize(length)}`);
      const rest = length > SHOWN_BYTES ? ' …' : '';
      return row(names, 'message', element('p', { className: 'raw', textContent: formatHex(start) + rest }), formatSize(length));
    });
  }

  #addEvent(peer, what) {
    const names = { ...peer };
    this.#add(() => element('p', { className: 'event' }, flagOf(names.key), element('span', {}, ...namesOf(names), ` ${what}`)));
  }

  #add(makeRow) {
    this.#log.add(makeRow);
    this.#showWhetherAlone();
  }

  #showWhetherAlone() {
    byId('nobody').hidden = !this.#isConnected || this.#peers.count > 0 || !this.#log.isEmpty;
  }

  #followComposer() {
    const field = byId('message');
    byId('composer').addEventListener('submit', (event) => {
      event.preventDefault();
      const text = field.value.trim();
      if (text !== '') this.#say(text);
      field.value = '';
      field.focus();
    });
    field.addEventListener('keydown', ({ key }) => {
      if (key === 'Escape') field.value = '';
    });
    // Where a finger does the typing, this would cover half the page with a keyboard.
    if (matchMedia('(pointer: fine)').matches) field.focus({ preventScroll: true });
  }

  #followNickname() {
    const field = byId('nickname');
    field.value = this.#nickname;
    const leave = () => byId('message').focus();
    byId('nickname-form').addEventListener('submit', (event) => {
      event.preventDefault();
      leave();
    });
    field.addEventListener('keydown', ({ key }) => {
      if (key !== 'Escape') return;
      field.value = this.#nickname;
      leave();
    });
    // Enter moves the focus away, which is what makes the browser tell of the change.
    field.addEventListener('change', () => this.#rename(tidyName(field.value)));
  }

  #rename(nickname) {
    byId('nickname').value = nickname;
    if (nickname === this.#nickname) return;
    this.#nickname = nickname;
    sessionStorage.setItem(NICKNAME, nickname);
    this.#wire.sendToAll(TOPIC, writeMessage({ name: nickname }));
    this.dispatchEvent(new Event('nickname'));
  }
}

function row(peer, className, content, remark) {
  return element('div', { className }, header([flagOf(peer.key), element('span', { className: 'names' }, ...namesOf(peer))], remark), content);
}

function header(names, remark) {
  const time = element('time', { textContent: new Date().toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' }) });
  return element('p', { className: 'message-head' }, ...names, element('span', { className: 'message-remark', textContent: remark ?? '' }), time);
}

function words(text) {
  return element('p', { className: 'words', dir: 'auto' }, foreignText(text));
}
