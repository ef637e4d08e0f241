// Drives with this package beside them, in this process; and streams between them.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createConnection, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { connect } from '../../../pkg/dist/hyperdrive.js';
import { Arrivals } from './arrivals.mjs';

const root = fileURLToPath(new URL('../../../', import.meta.url));

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

/** Runs a program that has `drive`, a new one or a copy, and `connect`; it has to end by itself. Gives what it printed. */
export async function run(t, program, key = '') {
  const directory = await mkdtemp(path.join(tmpdir(), 'native-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  const source = `
    import Corestore from 'corestore';
    import Hyperdrive from 'hyperdrive';
    import { connect } from './pkg/dist/hyperdrive.js';
    const [directory, key] = process.argv.slice(1);
    const drive = new Hyperdrive(new Corestore(directory), key ? Buffer.from(key, 'hex') : null);
    const next = (target, type) => new Promise((resolve) => target.addEventListener(type, resolve, { once: true }));
    ${program}
  `;
  const { stdout, stderr } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', source, directory, key], { cwd: root, timeout: 20_000 });
  assert.equal(stderr, '');
  return stdout;
}
