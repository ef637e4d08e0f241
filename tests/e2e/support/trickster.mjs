// A relay that connects whom it likes: a device to itself, or two devices with each other.

import { once } from 'node:events';
import { after } from 'node:test';
import { WebSocketServer } from 'ws';
import { FrameLog, frame, kind, readFrame } from './relay-frames.mjs';

/** Starts one that loops devices back to themselves; it ends with the test file. */
export async function startTrickster() {
  const trickster = new Trickster();
  after(() => trickster.stop());
  await once(trickster.server, 'listening');
  return trickster;
}

/** Everybody is told to be member 2 and that member 1 is there. Whoever dials is shown to the other end as member 3 or above. */
class Trickster {
  /** Whether a device that dials gets itself; else it gets the first device that came. */
  loops = true;
  /** What devices sent. */
  frames = new FrameLog();
  #devices = [];

  constructor() {
    this.server = new WebSocketServer({ host: '127.0.0.1', port: 0, handleProtocols: ([first]) => first });
    this.server.on('connection', (device) => {
      this.#devices.push(device);
      device.on('message', (bytes) => this.#handle(device, bytes));
    });
  }

  get relayUrl() {
    return `ws://127.0.0.1:${this.server.address().port}/relay`;
  }

  async stop() {
    for (const device of this.server.clients) device.terminate();
    await new Promise((resolve) => this.server.close(resolve));
  }

  #handle(device, bytes) {
    this.frames.add('page', bytes);
    const { kind: type, member, circuit, reason, rest } = readFrame(bytes);
    if (type === kind.join) {
      device.send(frame(kind.welcome, 2, 0, 1, 1));
      return;
    }
    const content = type === kind.hangup ? [reason] : [rest];
    if (member === 1) {
      const other = this.loops ? device : this.#devices[0];
      other.send(frame(type, 3 + this.#devices.indexOf(device), circuit, ...content));
    } else {
      this.#devices[member - 3].send(frame(type, 1, circuit, ...content));
    }
  }
}
