import { byId, element, foreignText, oncePerPicture } from './dom.js';
import { flagOf, nameOf, shortKey } from './names.js';

/** Devices listed at most; the rest is a number. */
const LISTED = 100;
/** Flags on the halyard at most. */
const HOISTED = 40;

/** Shows who is here: as a list, as flags on the halyard, and as a number. */
export class Roster {
  #peers;
  #self;
  #schedule = oncePerPicture(() => this.#draw());

  constructor(peers) {
    this.#peers = peers;
    peers.addEventListener('change', this.#schedule);
    this.#schedule();
  }

  /** This device's own key is known, or its user took another nickname. */
  introduce(publicKey, nickname) {
    this.#self = { key: publicKey, name: nameOf(publicKey), nickname, isSelf: true };
    this.#schedule();
  }

  #draw() {
    const peers = this.#peers.all;
    const devices = this.#self ? [this.#self, ...peers] : peers;
    const hidden = devices.length - LISTED;
    const more = hidden > 0 ? [element('li', { className: 'device', textContent: `and ${hidden} more` })] : [];
    byId('roster').replaceChildren(...devices.slice(0, LISTED).map(deviceRow), ...more);
    byId('device-count').textContent = devices.length === 1 ? '1 device' : `${devices.length} devices`;
    this.#hoist(devices.slice(0, HOISTED));
  }

  /** Only what is new is added, so that no other flag starts to move. */
  #hoist(devices) {
    const halyard = byId('halyard');
    const keys = new Set(devices.map(({ key }) => key));
    const hoisted = new Map();
    for (const flag of [...halyard.children]) {
      if (keys.has(flag.dataset.key)) hoisted.set(flag.dataset.key, flag);
      else flag.remove();
    }
    for (const { key, name } of devices) {
      if (hoisted.has(key)) continue;
      const flag = element('span', { className: 'hoisted', title: name }, flagOf(key));
      flag.dataset.key = key;
      halyard.append(flag);
    }
  }
}

function deviceRow(device) {
  const row = element(
    'li',
    { className: 'device', title: `Device key ${device.key}` },
    flagOf(device.key),
    element('span', { className: 'device-name' }, ...namesOf(device)),
    device.isSelf ? element('span', { className: 'device-key', textContent: 'you' }) : shownKey(device.key),
  );
  row.dataset.key = device.key;
  return row;
}

/** The start of a key: what tells devices apart when names do not. */
function shownKey(key) {
  return element('span', { className: 'device-key' }, element('span', { className: 'unseen', textContent: 'device key ' }), element('code', { textContent: shortKey(key) }));
}

/** What a device is called, in elements: the name from its key always, since anyone can take any nickname. */
export function namesOf({ name, nickname }) {
  if (nickname === '') return [element('b', { textContent: name })];
  return [element('b', {}, foreignText(nickname)), ' ', element('span', { className: 'given-name', textContent: name })];
}
