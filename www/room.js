import { byId, element, oncePerPicture } from './dom.js';
import { flagOf, nameOf } from './names.js';
import { RoomMap } from './room-map.js';
import { namesOf } from './roster.js';

/** Milliseconds between two looks at the round-trip times. */
const LOOK = 1000;

const PATHS = { relay: 'relay', direct: 'direct', none: 'waiting' };

/** Shows how messages travel from here to each device, and how long there and back takes: drawn, and the same as a table. */
export class Room {
  #sockets;
  #peers;
  #map = new RoomMap(byId('room-map'));
  #rows = new Map();
  #refresh = oncePerPicture(() => this.#draw());

  constructor(sockets, peers) {
    this.#sockets = sockets;
    this.#peers = peers;
    sockets.watch().addEventListener('path', this.#refresh);
    sockets.addEventListener('state', this.#refresh);
    peers.addEventListener('change', this.#refresh);
    new ResizeObserver(this.#refresh).observe(byId('room-map'));
    // The pictures of a hidden page are not drawn, and what was asked for waits.
    setInterval(this.#refresh, LOOK);
    this.#refresh();
  }

  #draw() {
    const { deviceKey, relays, peers } = this.#sockets.stats();
    const ways = new Map(peers.map((peer) => [peer.peerId, peer]));
    const devices = this.#peers.all.map((peer) => ({ ...peer, path: 'none', ...ways.get(peer.id), time: format(ways.get(peer.id)) }));
    this.#map.show({ key: deviceKey, name: nameOf(deviceKey), relays, devices });
    this.#list(devices);
    byId('room-note').textContent = summary(devices);
  }

  /** Rows stay when a number changes, so that nothing that was selected or scrolled to is lost. */
  #list(devices) {
    const ids = new Set(devices.map(({ id }) => id));
    for (const [id, { row }] of this.#rows) {
      if (ids.has(id)) continue;
      row.remove();
      this.#rows.delete(id);
    }
    for (const device of devices) {
      if (!this.#rows.has(device.id)) this.#rows.set(device.id, new Row(device.key));
      this.#rows.get(device.id).show(device);
    }
    byId('room-table').hidden = devices.length === 0;
    byId('room-alone').hidden = devices.length > 0;
  }
}

/** One device of the table. */
class Row {
  #names = element('span');
  #path = element('td');
  #time = element('td');
  #shown = '';

  constructor(key) {
    this.row = element('tr', {}, element('th', { scope: 'row' }, element('span', { className: 'room-name' }, flagOf(key), this.#names)), this.#path, this.#time);
    byId('room-rows').append(this.row);
  }

  show({ name, nickname, path, time }) {
    const shown = JSON.stringify([nickname, path, time]);
    if (shown === this.#shown) return;
    this.#shown = shown;
    this.row.dataset.path = path;
    this.#names.replaceChildren(...namesOf({ name, nickname }));
    this.#path.textContent = PATHS[path];
    this.#time.textContent = time === '' ? '–' : time;
  }
}

/** A round-trip time for people; `''` where there is none. */
function format(peer) {
  const time = peer?.roundTripTime;
  if (time === undefined) return '';
  if (time < 1) return '<\u20091\u202fms';
  if (time < 1000) return `${time < 9.95 ? time.toFixed(1) : Math.round(time)}\u202fms`;
  return `${(time / 1000).toFixed(1)}\u202fs`;
}

function summary(devices) {
  const count = (path) => devices.filter((device) => device.path === path).length;
  const parts = [['direct', 'direct'], ['relay', 'through the relay'], ['none', 'waiting']].map(([path, words]) => [count(path), words]);
  return parts.filter(([number]) => number > 0).map(([number, words]) => `${number} ${words}`).join(', ');
}
