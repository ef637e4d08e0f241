// Frames between page and relay, as core/PROTOCOL.md §3 has them, for tests that stand between the two or play one of them.

import { EventEmitter, once } from 'node:events';

/** Longest wait for a frame, in milliseconds. */
const PATIENCE = 20_000;

/** A frame's type, the same from the page and from the relay where both have it. */
export const kind = { join: 1, welcome: 1, dial: 2, dialed: 2, data: 3, hangup: 4, hungUp: 4, left: 5, refused: 6, goingAway: 17 };

/** A frame: its type, numbers (small ones only, as tests have them), and bytes. */
export function frame(kind, ...parts) {
  return Buffer.concat([Buffer.of(kind), ...parts.map((part) => (typeof part === 'number' ? uint(part) : part))]);
}

/** Reads a frame about a circuit (DIAL, DATA, HANGUP and their answers); of any other only its type. */
export function readFrame(bytes) {
  const [type, afterType] = readUint(bytes, 0);
  if (type < kind.dial || type > kind.hangup) return { kind: type };
  const [member, afterMember] = readUint(bytes, afterType);
  const [circuit, afterCircuit] = readUint(bytes, afterMember);
  const rest = bytes.subarray(afterCircuit);
  return type === kind.hangup ? { kind: type, member, circuit, reason: rest[0] } : { kind: type, member, circuit, rest };
}

/** The frames that passed, for tests that wait for one. */
export class FrameLog {
  #frames = [];
  #added = new EventEmitter();

  /** Adds a frame that `from` sent: a name of the test's choice. */
  add(from, bytes) {
    this.#frames.push({ from, length: bytes.length, ...readFrame(bytes) });
    this.#added.emit('frame');
  }

  /** The first frame of which this is true, of those that passed and those to come. */
  async first(isIt) {
    const signal = AbortSignal.timeout(PATIENCE);
    for (;;) {
      const frame = this.#frames.find(isIt);
      if (frame) return frame;
      await once(this.#added, 'frame', { signal }).catch(() => {
        const last = this.#frames.slice(-20).map((frame) => ({ ...frame, rest: frame.rest?.length }));
        throw new Error(`after ${PATIENCE} ms no frame that passed is ${isIt}; the last were ${JSON.stringify(last)}`);
      });
    }
  }
}

function uint(number) {
  if (number <= 0xfc) return Buffer.of(number);
  const bytes = Buffer.of(0xfd, 0, 0);
  bytes.writeUInt16LE(number, 1);
  return bytes;
}

function readUint(bytes, at) {
  if (bytes[at] <= 0xfc) return [bytes[at], at + 1];
  if (bytes[at] === 0xfd) return [bytes.readUInt16LE(at + 1), at + 3];
  throw new RangeError('no test has a number this large');
}
