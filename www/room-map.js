import { svg } from './dom.js';
import { flagOf } from './names.js';

/**
 * Pixels of the ring that each device has, at least: for a ring at all, for a whole flag, for the times below the devices, for the times
 * on their edges, and for names.
 */
const SPACE = { ring: 25, flag: 34, time: 44, edgeTime: 84, name: 120 };
/** Free pixels of the ring beside this device, on either side. */
const BESIDE_SELF = 36;
/** Points of the ring between which distances are measured. */
const SAMPLES = 720;
/** Half the size of a flag: on the ring, on a full one, and where there are too many for one. */
const FLAG = { ring: { x: 14, y: 10.5 }, full: { x: 10, y: 7.5 }, crowd: { x: 7, y: 5.25 } };
const RELAY = { x: 30, y: 14 };
/** Pixels that a direct edge keeps from the relays in the middle. */
const CLEARANCE = 40;
/** Pixels between relays. */
const BETWEEN_RELAYS = 52;
/** Where on an edge its time stands, from 0 to 1. */
const TIME_AT = { relay: 0.56, direct: 0.6 };
/** Turns from one device of a crowd to the next: so none covers another. */
const GOLDEN = Math.PI * (3 - Math.sqrt(5));

/**
 * Draws a room as this page knows it: this device on the left, relays in the middle, the others around them or, if there are too many
 * for a ring, all over the place.
 */
export class RoomMap {
  #svg;
  #drawn = '';
  #times = new Map();

  constructor(place) {
    this.#svg = place;
  }

  /** `devices` each have `id`, `key`, `name`, `path`, `url` of their relay, and `time`, which is shown as it is. */
  show({ key, name, relays, devices }) {
    const { clientWidth: width, clientHeight: height } = this.#svg;
    if (width === 0 || key === '') return;
    const outline = devices.map(({ id, path, url, nickname }) => [id, path, url, nickname]);
    const drawn = JSON.stringify([width, height, key, relays.map(({ url, state }) => [url, state]), outline]);
    if (drawn !== this.#drawn) this.#draw({ width, height, key, name, relays, devices });
    this.#drawn = drawn;
    for (const { id, time } of devices) {
      const text = this.#times.get(id);
      if (text && text.textContent !== time) text.textContent = time;
    }
    this.#svg.setAttribute('aria-label', `This device and ${devices.length} other${devices.length === 1 ? '' : 's'}; the table says the same in words`);
  }

  #draw({ width, height, key, name, relays, devices }) {
    const plan = new Plan(width, height, devices.length, relays);
    this.#svg.setAttribute('viewBox', `0 0 ${width} ${height}`);
    this.#svg.classList.toggle('crowd', plan.isCrowd);
    this.#times.clear();
    const edges = svg('g', {});
    const nodes = svg('g', {});
    const times = svg('g', {});
    const self = plan.self;
    for (const { url, state } of relays) {
      const at = plan.relay(url);
      const isUsed = devices.some((device) => device.path === 'relay' && device.url === url);
      if (state === 'joined') edges.append(line(isUsed ? 'trunk used' : 'trunk', self, at));
      nodes.append(relayNode(at, state, new URL(url).host, relays.length > 1 ? `relay ${nodes.children.length + 1}` : 'relay'));
    }
    devices.forEach((device, index) => {
      const at = plan.device(index);
      const edge = plan.edge(device, at);
      if (edge) edges.append(mark(edge.shape, device));
      if (edge && plan.hasTimes) {
        const { x, y } = plan.hasEdgeTimes ? edge.label : { x: at.x, y: at.y + plan.flag.y + 8 };
        const time = svg('text', { class: 'time', x, y: y + 4, 'text-anchor': 'middle' });
        this.#times.set(device.id, time);
        times.append(mark(time, device));
      }
      nodes.append(mark(deviceNode(at, device, plan), device));
    });
    nodes.append(deviceNode(self, { key, name: 'you', title: `this device: ${name}`, isSelf: true }, plan));
    this.#svg.replaceChildren(edges, nodes, times);
  }
}

/** Where everything is. */
class Plan {
  hasNames;
  hasTimes;
  hasEdgeTimes;
  isCrowd;
  flag;
  #width;
  #centre;
  #radius;
  #count;
  #relays;
  /** Points all around, beginning with this device, and how far each is from there along the ring. */
  #ring;

  constructor(width, height, count, relays) {
    const isNarrow = width < 480;
    this.#width = width;
    this.#count = count;
    this.#centre = { x: width / 2, y: height / 2 };
    this.#radius = { x: width / 2 - (isNarrow ? 34 : 72), y: height / 2 - 40 };
    this.#ring = this.#walk();
    const each = (this.#ring.at(-1).far - 2 * BESIDE_SELF) / (count + 1);
    this.hasNames = each >= SPACE.name;
    this.hasTimes = each >= SPACE.time;
    this.hasEdgeTimes = each >= SPACE.edgeTime;
    this.isCrowd = each < SPACE.ring;
    this.flag = this.isCrowd ? FLAG.crowd : each < SPACE.flag ? FLAG.full : FLAG.ring;
    const top = this.#centre.y - ((relays.length - 1) * BETWEEN_RELAYS) / 2;
    this.#relays = new Map(relays.map(({ url }, index) => [url, { x: this.#centre.x, y: top + index * BETWEEN_RELAYS }]));
  }

  get self() {
    return { x: this.#centre.x - this.#radius.x, y: this.#centre.y };
  }

  relay(url) {
    return this.#relays.get(url);
  }

  device(index) {
    if (!this.isCrowd) {
      const length = this.#ring.at(-1).far;
      const far = BESIDE_SELF + ((length - 2 * BESIDE_SELF) * (index + 1)) / (this.#count + 1);
      return this.#ring.find((point) => point.far >= far);
    }
    // Like the seeds of a sunflower, around a middle that is left to the relays, and clear of this device.
    const inner = 0.3;
    const share = (index + 0.5) / this.#count;
    const at = this.#at(index * GOLDEN, Math.sqrt(inner * inner + share * (1 - inner * inner)));
    return { x: at.x + (this.#width - at.x) * 0.06, y: at.y };
  }

  /** An edge and the place of its time; none to a device that is waited for. */
  edge({ path, url }, at) {
    const relay = this.#relays.get(url);
    if (path === 'relay' && relay) return { shape: line('edge relay', relay, at), label: between(relay, at, TIME_AT.relay) };
    if (path !== 'direct') return undefined;
    const bend = this.#bend(at);
    const shape = svg('path', { class: 'edge direct', d: `M${xy(this.self)}Q${xy(bend)} ${xy(at)}` });
    const t = TIME_AT.direct;
    return { shape, label: between(between(this.self, bend, t), between(bend, at, t), t) };
  }

  /** Where a direct edge is drawn to, so that it goes past the relays. */
  #bend(at) {
    const from = this.self;
    const middle = between(from, at, 0.5);
    if (this.isCrowd || this.#relays.size === 0) return middle;
    const length = Math.hypot(at.x - from.x, at.y - from.y) || 1;
    const across = { x: (at.y - from.y) / length, y: -(at.x - from.x) / length };
    const reach = CLEARANCE + ((this.#relays.size - 1) * BETWEEN_RELAYS) / 2;
    const offset = (middle.x - this.#centre.x) * across.x + (middle.y - this.#centre.y) * across.y;
    const side = offset < -0.5 ? -1 : 1;
    const push = 2 * Math.max(0, reach - Math.abs(offset)) * side;
    return { x: middle.x + across.x * push, y: middle.y + across.y * push };
  }

  #walk() {
    let [before, far] = [this.self, 0];
    return Array.from({ length: SAMPLES + 1 }, (_, step) => {
      const at = this.#at(Math.PI + (2 * Math.PI * step) / SAMPLES, 1);
      far += Math.hypot(at.x - before.x, at.y - before.y);
      before = at;
      return { ...at, far };
    });
  }

  #at(angle, share) {
    const { x, y } = this.#centre;
    return { x: x + this.#radius.x * share * Math.cos(angle), y: y + this.#radius.y * share * Math.sin(angle) };
  }

  /** How a name is set below a device, so that it stays inside. */
  anchor({ x }) {
    if (x < 80) return { 'text-anchor': 'start', dx: String(-this.flag.x) };
    if (x > this.#width - 80) return { 'text-anchor': 'end', dx: String(this.flag.x) };
    return { 'text-anchor': 'middle' };
  }
}

function deviceNode(at, { key, name, nickname = '', path, title, isSelf = false }, plan) {
  const { x, y } = plan.flag;
  const flag = flagOf(key);
  for (const [attribute, value] of Object.entries({ x: -x, y: -y, width: 2 * x, height: 2 * y, class: '' })) flag.setAttribute(attribute, String(value));
  const frame = svg('rect', { x: -x - 1, y: -y - 1, width: 2 * x + 2, height: 2 * y + 2, rx: 2 });
  const node = group(isSelf ? 'node self' : `node ${path}`, at, hint(title ?? (nickname === '' ? name : `${nickname}, ${name}`)), frame, flag);
  if (isSelf || plan.hasNames) {
    const label = svg('text', { y: y + 15, ...plan.anchor(at) });
    label.textContent = cut(nickname === '' ? name : nickname);
    node.append(label);
  }
  return node;
}

function relayNode(at, state, host, label) {
  const { x, y } = RELAY;
  const text = svg('text', { 'text-anchor': 'middle', y: 4 });
  text.textContent = label;
  return group(`relay-node ${state}`, at, hint(host), svg('rect', { x: -x, y: -y, width: 2 * x, height: 2 * y, rx: y }), text);
}

/** What a pointer that rests on it is told. */
function hint(text) {
  const made = svg('title', {});
  made.textContent = text;
  return made;
}

function group(className, at, ...children) {
  const made = svg('g', { class: className, transform: `translate(${xy(at)})` });
  made.append(...children);
  return made;
}

function line(className, from, to) {
  return svg('line', { class: className, x1: from.x, y1: from.y, x2: to.x, y2: to.y });
}

/** Says whose it is. */
function mark(shape, { id }) {
  shape.dataset.peer = id;
  return shape;
}

function between(from, to, share) {
  return { x: from.x + (to.x - from.x) * share, y: from.y + (to.y - from.y) * share };
}

function xy({ x, y }) {
  return `${x.toFixed(1)} ${y.toFixed(1)}`;
}

function cut(text) {
  return text.length > 18 ? `${text.slice(0, 17)}…` : text;
}
