// Drives with this package beside them, in this process; and streams between them.

import { createConnection, createServer } from 'node:net';
import { once } from 'node:events';
import { connect } from '../../../pkg/dist/hyperdrive.js';
import { Arrivals } from './arrivals.mjs';

/** Connects a drive, with the topic `chat` joined, until the test ends. */
export function startNative(t, drive, options = {}) {
  const native = new Native(drive, options);
  t.after(() => native.sockets.close());
  return native;
}

class Native {
  /** Events. */
  errors;
  joins;
  leaves;
  messages;

  constructor(drive, options) {
    this.drive = drive;
    this.sockets = connect(drive, options);
    this.errors = arrivals(this.sockets, 'error');
    this.peerEvents = this.sockets.watch();
    this.joins = arrivals(this.peerEvents, 'join');
    this.leaves = arrivals(this.peerEvents, 'leave');
    this.chat = this.sockets.join('chat');
    this.messages = arrivals(this.chat, 'message');
  }

  /** The text of the next message. */
  async nextText() {
    return new TextDecoder().decode((await this.messages.next()).message);
  }
}

/** Every event of one type from now on. */
export function arrivals(target, type) {
  const events = new Arrivals();
  target.addEventListener(type, (event) => events.push(event));
  return events;
}

/** Two streams as one connection in memory, until the test ends. */
export function join(t, ours, theirs) {
  ours.pipe(theirs).pipe(ours);
  t.after(() => ours.destroy());
  return [ours, theirs];
}

/** Two streams as one connection over TCP, until the test ends. */
export async function joinByTcp(t, ours, theirs) {
  const server = createServer((socket) => theirs.pipe(socket).pipe(theirs)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const socket = createConnection(server.address().port, '127.0.0.1');
  ours.pipe(socket).pipe(ours);
  t.after(() => {
    for (const stream of [ours, theirs, socket]) stream.destroy();
    server.close();
  });
  return [ours, theirs];
}
