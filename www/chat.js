import { byId, element, foreignText } from './dom.js';
import { encodeText, formatSize, preview } from './bytes.js';
import { Log } from './log.js';
import { flagOf } from './names.js';
import { namesOf } from './roster.js';

/** The topic of the example in Beaker's documentation, and like there a message is text and nothing else. */
const TOPIC = 'chat';
/** Rows that are kept. */
const ROWS = 300;
/** Bytes shown of a message that is text, and of one that is not. */
const SHOWN = { text: 8000, hex: 64 };

/** The conversation on the current drive. */
export class Chat {
  #peers;
  #wire;
  #reach;
  #log = new Log(byId('chat-log'), ROWS);

  constructor(peers, wire, reach) {
    this.#peers = peers;
    this.#wire = wire;
    this.#reach = reach;
    wire.join(TOPIC, (peer, bytes) => this.#receive(peer, bytes));
    peers.addEventListener('join', ({ detail: peer }) => this.#addEvent(peer, 'joined'));
    peers.addEventListener('leave', ({ detail: peer }) => this.#addEvent(peer, 'left'));
    peers.addEventListener('rename', ({ detail: { before, nickname } }) => this.#addEvent(before, ...renaming(nickname)));
    reach.addEventListener('change', () => this.#showReach());
    this.#followComposer();
    this.#showReach();
  }

  /** The user took this nickname: worth a line where somebody was told. */
  confirmNickname(nickname) {
    if (this.#peers.count === 0) return;
    const text = nickname === '' ? ['You have no nickname any more'] : ['You are now called ', called(nickname)];
    this.#add(() => element('p', { className: 'event' }, element('span', {}, ...text)));
  }

  /** Sends to everyone, and tells whether anyone was there. */
  #say(text) {
    const { reason } = this.#reach;
    this.#complain(reason === undefined ? '' : `Not sent: ${reason}.`);
    if (reason !== undefined) return false;
    const fate = `sent to ${this.#wire.sendToAll(TOPIC, encodeText(text))}`;
    this.#add(() => element('div', { className: 'message own' }, header([element('b', { textContent: 'you' })], fate), words(text)));
    return true;
  }

  #receive(peer, bytes) {
    const { kind, text, isCut } = preview(bytes, SHOWN);
    const names = { ...peer };
    const size = kind === 'hex' || isCut || bytes.length === 0 ? formatSize(bytes.length) : '';
    this.#add(() => row(names, kind === 'text' ? words(text) : element('p', { className: 'raw', textContent: text }), size));
  }

  #addEvent(peer, ...what) {
    const names = { ...peer };
    this.#add(() => element('p', { className: 'event' }, flagOf(names.key), element('span', {}, ...namesOf(names), ' ', ...what)));
  }

  #add(makeRow) {
    this.#log.add(makeRow);
    this.#showWhetherAlone();
  }

  #showReach() {
    const { isHopeless, obstacle, reason } = this.#reach;
    const field = byId('message');
    for (const control of [field, byId('say')]) control.disabled = isHopeless;
    // Offline it can be written in: what was not sent stays there, to be sent later.
    const isOut = isHopeless || obstacle === 'offline';
    field.placeholder = isOut ? `${isHopeless ? 'Closed' : 'Nothing is sent now'}: ${reason}` : 'Message';
    this.#complain('');
    this.#showWhetherAlone();
  }

  #showWhetherAlone() {
    byId('nobody').hidden = this.#reach.obstacle !== 'alone' || !this.#log.isEmpty;
  }

  #complain(problem) {
    byId('message-problem').textContent = problem;
  }

  #followComposer() {
    const field = byId('message');
    byId('composer').addEventListener('submit', (event) => {
      event.preventDefault();
      const text = field.value.trim();
      // What was not sent stays, to be sent later.
      if (text === '' || this.#say(text)) field.value = '';
      field.focus();
    });
    field.addEventListener('input', () => this.#complain(''));
    field.addEventListener('keydown', ({ key }) => {
      if (key !== 'Escape') return;
      field.value = '';
      this.#complain('');
    });
  }
}

function row(peer, content, remark) {
  return element('div', { className: 'message' }, header([flagOf(peer.key), element('span', { className: 'names' }, ...namesOf(peer))], remark), content);
}

function header(names, remark) {
  const time = element('time', { textContent: new Date().toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' }) });
  return element('p', { className: 'message-head' }, ...names, element('span', { className: 'message-remark', textContent: remark }), time);
}

function words(text) {
  return element('p', { className: 'words', dir: 'auto' }, foreignText(text));
}

function renaming(nickname) {
  return nickname === '' ? ['has no nickname any more'] : ['is now called ', called(nickname)];
}

function called(nickname) {
  return element('b', {}, foreignText(nickname));
}
