// A process that has drives and knows nothing of this package: npm's hyperdrive and corestore, one WebSocket, one extension.

import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Corestore from 'corestore';
import Hyperdrive from 'hyperdrive';
import { WebSocketServer } from 'ws';
import { Arrivals } from './arrivals.mjs';

/** A drive of its own, served on a WebSocket, with the topic `chat` as an extension. */
export async function startDrivePeer(t, { drives = 1 } = {}) {
  const store = await openStore(t);
  const opened = [];
  for (let index = 0; index < drives; index += 1) opened.push(await openDrive(store, index));
  const server = await serve(t, (isInitiator) => (drives === 1 ? opened[0] : store).replicate(isInitiator));
  return new DrivePeer(store, opened, server);
}

/** A copy of somebody's drive, in a store of its own. */
export async function openCopy(t, key) {
  const drive = new Hyperdrive(await openStore(t), key);
  await drive.ready();
  return drive;
}

/** What a plain peer says and hears on `chat`. */
export function joinChat(drive) {
  const messages = new Arrivals();
  const extension = drive.core.registerExtension('peersockets/v0/chat', {
    encoding: 'binary',
    onmessage: (bytes, peer) => messages.push({ bytes, peer }),
  });
  return { messages, send: (bytes, peer) => extension.send(bytes, peer) };
}

/** Serves replication streams on a WebSocket at a port that was free. */
export async function serve(t, replicate, { port = 0 } = {}) {
  const server = new WebSocketServer({ host: '127.0.0.1', port, perMessageDeflate: false });
  await once(server, 'listening');
  server.on('connection', (socket) => pipe(socket, replicate(false)));
  undo(t, () => close(server));
  return server;
}

/** Ends a server and its sockets. */
export function close(server) {
  for (const socket of server.clients) socket.terminate();
  return new Promise((resolve) => server.close(resolve));
}

/** The bytes of a replication stream as the messages of a socket. */
export function pipe(socket, stream) {
  socket.on('message', (bytes) => stream.write(bytes));
  stream.on('data', (bytes) => socket.send(bytes));
  socket.on('close', () => stream.destroy());
  stream.on('close', () => socket.close());
  // Whoever cares listens to the socket; without a listener an error would end this process.
  stream.on('error', () => {});
}

class DrivePeer {
  constructor(store, drives, server) {
    this.store = store;
    this.drives = drives;
    this.server = server;
  }

  get drive() {
    return this.drives[0];
  }

  /** What a page writes as its drive. */
  get driveUrl() {
    return driveUrl(this.drive);
  }

  /** What a page writes as its peer. */
  get url() {
    return `ws://127.0.0.1:${this.server.address().port}/`;
  }
}

/** What a page writes as its drive. */
export function driveUrl(drive) {
  return `hyper://${drive.key.toString('hex')}`;
}

/** An empty corestore that ends with the test. */
export async function openStore(t) {
  const directory = await mkdtemp(join(tmpdir(), 'drive-peer-'));
  const store = new Corestore(directory);
  undo(t, async () => {
    await store.close();
    await rm(directory, { recursive: true, force: true });
  });
  return store;
}

/** Undoes what a test did, the last first: a store closes after the server that replicates it. */
function undo(t, step) {
  const steps = undoing.get(t) ?? [];
  if (steps.length === 0) {
    undoing.set(t, steps);
    t.after(async () => {
      for (const step of steps.reverse()) await step();
    });
  }
  steps.push(step);
}

const undoing = new WeakMap();

/** One of a store's drives: its own, or a copy of somebody's. */
export async function openDrive(store, index, key) {
  const drive = new Hyperdrive(index === 0 ? store : store.namespace(`drive ${index}`), key);
  await drive.ready();
  return drive;
}

/** The bytes of a file of a drive, as soon as they are there. */
export async function readFile(drive, path) {
  for (;;) {
    const appended = once(drive.core, 'append', { signal: AbortSignal.timeout(20_000) });
    const bytes = await drive.get(path);
    if (bytes) return bytes;
    await appended;
  }
}
