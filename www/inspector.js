import { byId, element, foreignText, oncePerPicture } from './dom.js';
import { encodeText, formatSize, parseHex } from './bytes.js';
import { Counters } from './counters.js';
import { Log } from './log.js';
import { flagOf } from './names.js';

/** Messages that are listed. */
const FRAMES = 500;
const EVERYONE = 'everyone';
/** What joins and sends. */
const CONTROLS = ['input', 'select', 'button'].map((kind) => `:is(#join-form, #send-form) ${kind}`).join();

/** Shows what passes on the topics that were joined, and sends whatever one types. */
export class Inspector {
  #peers;
  #wire;
  #reach;
  #log = new Log(byId('frames'), FRAMES);
  #seen = 0;
  #isPaused = false;
  #topicBefore = '';
  #counters = new Counters((name) => this.#leave(name));
  #refresh = oncePerPicture(() => this.#draw());

  constructor(peers, wire, reach) {
    this.#peers = peers;
    this.#wire = wire;
    this.#reach = reach;
    wire.addEventListener('frame', ({ detail: frame }) => this.#add(frame));
    wire.addEventListener('topics', this.#refresh);
    wire.addEventListener('refused', ({ detail: { name, error } }) => this.#refuse(name, error));
    reach.addEventListener('change', () => this.#showReach());
    peers.addEventListener('change', this.#refresh);
    this.#followForms();
    this.#followButtons();
    this.#showReach();
    this.#refresh();
  }

  /** Where nothing can ever be sent, nothing can be asked for either. */
  #showReach() {
    complain('payload', '');
    for (const control of document.querySelectorAll(CONTROLS)) control.disabled = this.#reach.isHopeless;
  }

  #add(frame) {
    this.#seen += 1;
    if (!this.#isPaused) this.#log.add(() => frameRow(frame));
    this.#refresh();
  }

  #draw() {
    const { topics } = this.#wire;
    choose(byId('send-topic'), topics.map(({ name }) => [name, name]));
    choose(byId('send-to'), [[EVERYONE, 'everyone'], ...this.#peers.all.map(({ id, name }) => [String(id), name])]);
    this.#counters.show(topics);
    byId('frames-note').textContent = this.#summary();
  }

  #summary() {
    if (this.#seen === 0) return 'Nothing was sent or received yet.';
    if (this.#seen === 1) return '1 message';
    return `${this.#seen} messages${this.#seen > FRAMES ? `, the last ${FRAMES} are kept` : ''}`;
  }

  #join(name) {
    this.#topicBefore = byId('send-topic').value;
    this.#wire.join(name);
    // Now, not with the next picture: the choice is made here.
    this.#draw();
    byId('send-topic').value = name;
    byId('payload').focus();
  }

  /** It comes in the same turn in which the topic was joined, so its row was never to be seen. */
  #refuse(name, error) {
    this.#draw();
    byId('send-topic').value = this.#topicBefore;
    const field = byId('topic-name');
    field.value = name;
    field.focus();
    complain('topic-name', refusal(name, error));
  }

  #leave(name) {
    this.#wire.leave(name);
    byId('topic-name').focus();
  }

  #followForms() {
    byId('join-form').addEventListener('submit', (event) => {
      event.preventDefault();
      const field = byId('topic-name');
      if (field.value !== '') this.#join(field.value);
      field.value = '';
    });
    byId('send-form').addEventListener('submit', (event) => {
      event.preventDefault();
      this.#send();
    });
    for (const id of ['topic-name', 'payload']) {
      byId(id).addEventListener('keydown', ({ key, target }) => {
        if (key !== 'Escape') return;
        target.value = '';
        complain(id, '');
      });
      byId(id).addEventListener('input', () => complain(id, ''));
    }
  }

  #send() {
    const text = byId('payload').value;
    const bytes = byId('send-as').value === 'hex' ? parseHex(text) : encodeText(text);
    const { reason } = this.#reach;
    if (!bytes) return complain('payload', 'Two hex digits for each byte, please, such as 68 69.');
    if (reason !== undefined) return complain('payload', `Not sent: ${reason}.`);
    const topic = byId('send-topic').value;
    const to = byId('send-to').value;
    if (to === EVERYONE) this.#wire.sendToAll(topic, bytes);
    else this.#wire.send(topic, this.#peers.get(Number(to)), bytes);
    byId('payload').value = '';
    complain('payload', '');
  }

  #followButtons() {
    const pause = byId('pause-frames');
    pause.addEventListener('click', () => {
      this.#isPaused = !this.#isPaused;
      pause.setAttribute('aria-pressed', String(this.#isPaused));
    });
    byId('clear-frames').addEventListener('click', () => {
      this.#log.clear();
      this.#seen = 0;
      this.#refresh();
    });
  }
}

/** Says beside a field what is wrong with what is in it. */
function complain(id, problem) {
  byId(`${id}-problem`).textContent = problem;
  byId(id).setAttribute('aria-invalid', String(problem !== ''));
}

/** Why a topic was not joined, for whoever typed its name. */
function refusal(name, { code, reason, remedy }) {
  if (code === 'topic-too-long') return `Not joined: it has ${encodeText(name).length} bytes, and 255 is the most.`;
  return `Not joined: ${reason}. ${remedy}`;
}

function frameRow({ time, direction, topic, peer, size, preview }) {
  const isIn = direction === 'in';
  return element(
    'li',
    { className: `frame ${direction}` },
    element('time', { textContent: time.toLocaleTimeString([], { hour12: false }) }),
    element('span', { className: 'direction', textContent: isIn ? 'from' : 'to' }),
    element('span', { className: 'who' }, flagOf(peer.key), peer.name),
    foreignText(topic, 'frame-topic'),
    element('span', { className: 'size', textContent: formatSize(size) }),
    foreignText(size === 0 ? '(empty)' : preview.text, `preview ${preview.kind}`),
  );
}

/** Fills a select and keeps its choice where it is still there. */
function choose(select, options) {
  const { value } = select;
  // An unchanged list may be open just now.
  if (options.length === select.length && options.every(([key, label], at) => select[at].value === key && select[at].text === label)) return;
  select.replaceChildren(...options.map(([key, label]) => element('option', { value: key, textContent: label })));
  select.value = options.some(([key]) => key === value) ? value : (options[0]?.[0] ?? '');
}
