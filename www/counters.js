import { byId, element, foreignText } from './dom.js';
import { formatSize } from './bytes.js';
import { flagOf } from './names.js';

/** Messages and bytes for each topic and device. Rows stay when numbers change, so that a click never misses its button. */
export class Counters {
  #groups = new Map();
  #leave;
  #table = element('table', {}, head());

  /** `leave` is called with the name of a topic that the user wants to leave. */
  constructor(leave) {
    this.#leave = leave;
    byId('counters').append(this.#table);
  }

  /** Shows the counters of these topics, and of no others. */
  show(topics) {
    const names = new Set(topics.map(({ name }) => name));
    for (const [name, group] of this.#groups) {
      if (names.has(name)) continue;
      group.body.remove();
      this.#groups.delete(name);
    }
    for (const topic of topics) {
      if (!this.#groups.has(topic.name)) this.#groups.set(topic.name, this.#open(topic));
      this.#groups.get(topic.name).show(topic);
    }
  }

  #open(topic) {
    const group = new Group(topic, this.#leave);
    this.#table.append(group.body);
    return group;
  }
}

/** The rows of one topic. */
class Group {
  body = element('tbody');
  #total;
  #devices = new Map();

  constructor({ name, listeners }, leave) {
    const button = element('button', { type: 'button', className: 'leave', textContent: '×', ariaLabel: `Leave the topic ${name}` });
    button.addEventListener('click', () => leave(name));
    // What the chat listens to stays.
    this.#total = new Row('topic-row', [Object.assign(foreignText(name), { title: name })], listeners.length === 0 ? button : undefined);
    this.body.append(this.#total.row);
  }

  show({ total, devices }) {
    this.#total.show(total);
    for (const [id, row] of this.#devices) {
      if (devices.has(id)) continue;
      row.row.remove();
      this.#devices.delete(id);
    }
    for (const [id, { peer, ...counter }] of devices) {
      if (!this.#devices.has(id)) {
        const row = new Row('device-row', [flagOf(peer.key), element('span', { textContent: peer.name })]);
        this.#devices.set(id, row);
        this.body.append(row.row);
      }
      this.#devices.get(id).show(counter);
    }
  }
}

class Row {
  #in = element('td');
  #out = element('td');

  constructor(className, name, end) {
    this.row = element('tr', { className }, element('th', { scope: 'row' }, ...name), this.#in, this.#out, element('td', {}, end));
  }

  show(counter) {
    this.#in.textContent = describe(counter.in);
    this.#out.textContent = describe(counter.out);
  }
}

function head() {
  const titles = ['Topic, device', 'In', 'Out', ''];
  return element('thead', {}, element('tr', {}, ...titles.map((textContent) => element('th', { scope: 'col', textContent }))));
}

function describe({ messages, bytes }) {
  // It wraps between the two numbers, nowhere else.
  return messages === 0 ? '–' : `${messages}\u00a0· ${formatSize(bytes).replace(' ', '\u00a0')}`;
}
