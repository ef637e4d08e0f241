import { byId, element } from './dom.js';
import { isOnThisComputer } from './origin.js';

/** How often it is looked whether there is a relay, in milliseconds. */
const LOOK = 1_000;
/** Notes shown at once at most. */
const NOTES = 3;
/** Characters of a note at most. */
const CHARACTERS = 400;

const LABELS = {
  loading: 'Loading',
  connecting: 'Looking for the relay',
  ready: 'Connected',
  offline: 'Offline',
  closed: 'Closed',
  failed: 'Not running',
  'bad-link': 'Bad link',
};

/** Advice for whoever runs the relay, who in another place is not the visitor. */
const ifYours = (advice, otherwise = '') => (isOnThisComputer ? advice : otherwise);

const RELAY_DOWN = ['The relay does not answer', `${ifYours('If it is yours, start it with “npm start”. ')}It is tried again by itself.`];

/** What the package says for programmers, said for whoever opened this page. */
const FRIENDLY = {
  'no-relay': RELAY_DOWN,
  'no-websocket': RELAY_DOWN,
  'shutting-down': RELAY_DOWN,
  'bad-drive': ['This link names no drive', 'It may have been cut off on its way: ask for it again, or go back to the public drive.'],
  'room-full': ['This drive is full', 'Too many devices have it open on this relay. It is tried again by itself; a private drive has its own room.'],
  'wasm-load-failed': ['The WebAssembly could not be loaded', ifYours('If this is your checkout, run “npm run build” and reload the page.', 'Reload the page; if that does not help, tell whoever runs it.')],
};

/** Says how things stand: the state in a word, and what is wrong in notes. */
export class Status {
  #notes = new Map();
  #state = 'loading';

  /** Follows these sockets from now on. */
  follow(sockets) {
    sockets.addEventListener('state', ({ state }) => this.#show(state));
    sockets.addEventListener('error', (event) => this.report(event));
    this.#show(sockets.state);
    setInterval(() => this.#lookForRelay(sockets), LOOK);
  }

  /** The package itself is not there. */
  failToLoad() {
    this.#show('failed');
    const remedy = ifYours('Run “npm run build”, and serve the directory pkg beside this page.', 'Reload the page; if that does not help, tell whoever runs it.');
    this.#note('The package is not where this page looks for it', remedy);
  }

  /** Something went wrong: an error event of the package. */
  report({ code, reason, remedy }) {
    if (code === 'bad-drive') this.#show('bad-link');
    const [title, advice] = Object.hasOwn(FRIENDLY, code) ? FRIENDLY[code] : [capitalise(reason), remedy];
    this.#note(title, advice);
  }

  #show(state) {
    // Without a drive there is nothing to be on- or offline for.
    if (this.#state === 'bad-link') return;
    this.#state = state;
    const place = byId('state');
    place.dataset.state = state;
    place.textContent = LABELS[state] ?? state;
    if (state === 'ready') for (const title of [...this.#notes.keys()]) this.#drop(title);
  }

  /** Peers that are directly connected keep the state while no relay can be reached: nobody new is met then. */
  #lookForRelay(sockets) {
    if (this.#state !== 'ready') return;
    const hasRelay = sockets.stats().relays.some(({ state }) => state === 'joined');
    const [place, label] = [byId('state'), hasRelay ? LABELS.ready : 'Connected to peers only'];
    // It is read out whenever it is written.
    if (place.textContent !== label) place.textContent = label;
    if (hasRelay) this.#drop(RELAY_DOWN[0]);
  }

  /** One note for each kind of trouble, and while there is no connection no second one, dismissed or not. */
  #note(title, advice) {
    if (this.#notes.has(title)) return;
    while (this.#notes.size >= NOTES) this.#drop(this.#notes.keys().next().value);
    const button = element('button', { type: 'button', textContent: 'Dismiss' });
    button.addEventListener('click', () => {
      if (this.#state === 'ready') this.#drop(title);
      else note.remove();
      byId('chat-log').focus();
    });
    const note = element('div', { className: 'note' }, element('p', {}, element('b', { textContent: `${cut(title)}.` }), ` ${cut(advice)}`), button);
    this.#notes.set(title, note);
    byId('notes').append(note);
  }

  #drop(title) {
    this.#notes.get(title)?.remove();
    this.#notes.delete(title);
  }
}

function capitalise(text) {
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}

function cut(text) {
  return text.length > CHARACTERS ? `${text.slice(0, CHARACTERS)}…` : text;
}
