// What others can make a process with a drive take.

import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { WebSocketServer } from 'ws';
import { SecretDrive } from '../e2e/support/needles.mjs';
import { startRecorder } from '../e2e/support/recorder.mjs';
import { joinRoom } from '../e2e/support/relay-client.mjs';
import { frame, kind } from '../e2e/support/relay-frames.mjs';
import { startRelay } from '../e2e/support/relay.mjs';
import { openCopy, openDrive, openStore } from './support/drive-peer.mjs';
import { join, startNative } from './support/native.mjs';
import { patiently, until } from './support/patience.mjs';
import { openChannel, proofOf } from './support/stranger.mjs';

const VIOLATION = 2;
const MIB = 1024 * 1024;

const relay = await startRelay();
const digest = (bytes) => createHash('sha256').update(bytes).digest('base64');

test('a stranger gets no memory of a process for the length of a frame', async (t) => {
  const drive = await openDrive(await openStore(t), 0);
  const { sockets } = startNative(t, drive, { relays: relay.relayUrl });
  await until(sockets, 'ready');
  const stranger = await joinRoom(relay, new SecretDrive(drive.key).rendezvousId);
  const before = process.memoryUsage().arrayBuffers;
  const [member, circuit] = [1, 1];
  stranger.send(frame(kind.dial, member, circuit));
  stranger.send(frame(kind.data, member, circuit, Buffer.of(0xff, 0xff, 0xff, 0)));
  const { reason } = await stranger.frames.first(({ kind: is }) => is === kind.hungUp);
  assert.equal(reason, VIOLATION);
  const grown = process.memoryUsage().arrayBuffers - before;
  assert.ok(grown < 4 * MIB, `${grown} bytes`);
  assert.equal(sockets.state, 'ready');
});

test('the longest frames of replication go through a circuit', async (t) => {
  const drive = await openDrive(await openStore(t), 0);
  const copy = await openCopy(t, drive.key);
  const [near, far] = [drive, copy].map((drive) => startNative(t, drive, { relays: relay.relayUrl }));
  const added = once(drive.core, 'peer-add');
  const arrived = new Promise((resolve) => copy.core.registerExtension('large', { encoding: 'binary', onmessage: (bytes) => resolve(digest(bytes)) }));
  const extension = drive.core.registerExtension('large', { encoding: 'binary' });
  const [peer] = await patiently('peer', added);
  const bytes = randomBytes(16_777_000);
  extension.send(bytes, peer);
  assert.equal(await patiently('large frame', arrived), digest(bytes));
  near.chat.send((await near.joins.next()).peerId, 'on the same circuit');
  assert.equal(await far.nextText(), 'on the same circuit');
  assert.deepEqual(near.leaves.rest, []);
});

test('a circuit whose stream reads nothing is ended before it fills the process', async (t) => {
  const recorder = await startRecorder(relay);
  const drive = await openDrive(await openStore(t), 0);
  const copy = await openCopy(t, drive.key);
  const near = startNative(t, drive, { relays: recorder.relayUrl });
  const far = startNative(t, copy, { relays: relay.relayUrl });
  const added = [drive, copy].map(({ core }) => once(core, 'peer-add'));
  const [{ peerId }] = await Promise.all([near.joins.next(), far.joins.next()]);
  const [[{ stream }], [peer]] = await patiently('peers', Promise.all(added));
  // Whatever reads it is stuck.
  stream.rawStream.pause();
  stream.rawStream.resume = () => {};
  const extension = copy.core.registerExtension('flood', { encoding: 'binary' });
  for (let count = 0; count < 3; count += 1) extension.send(Buffer.alloc(8 * MIB), peer);
  const { reason } = await recorder.frames.first(({ from, kind: is }) => from === 'page' && is === kind.hangup);
  assert.equal(reason, VIOLATION);
  // They go on, on a circuit that is read.
  near.chat.send(peerId, 'here still');
  assert.equal(await far.nextText(), 'here still');
  assert.deepEqual(near.leaves.rest, []);
});

test('a message that is too long for a relay ends its socket', async (t) => {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate: false, handleProtocols: ([first]) => first });
  t.after(() => new Promise((resolve) => {
    for (const client of server.clients) client.terminate();
    server.close(resolve);
  }));
  await once(server, 'listening');
  const connected = once(server, 'connection');
  const { sockets } = startNative(t, await openDrive(await openStore(t), 0), { relays: `ws://127.0.0.1:${server.address().port}/relay` });
  const [socket] = await patiently('connection', connected);
  await patiently('JOIN', once(socket, 'message'));
  const [member, flags, others] = [1, 0, 0];
  socket.send(frame(kind.welcome, member, flags, others));
  await until(sockets, 'ready');
  // On a circuit that is not open: it is read, and means nothing.
  const data = (length) => frame(kind.data, 2, 1, Buffer.alloc(length));
  const closed = once(socket, 'close');
  socket.send(data(65_536));
  const pong = once(socket, 'pong');
  socket.ping();
  await patiently('pong', pong);
  socket.send(data(65_569));
  const [code] = await patiently('end of the socket', closed);
  assert.equal(code, 1009);
});

test('a remote on a stream of our own that opens its channel only to break it is not listened to for ever', async (t) => {
  const drive = await openDrive(await openStore(t), 0);
  const copy = await openCopy(t, drive.key);
  const near = startNative(t, drive);
  await near.sockets.ready;
  const [, { noiseStream: stream }] = join(t, near.sockets.handle(drive.replicate(true)), copy.replicate(false));
  await patiently('open stream', stream.opened);
  const NEXT = 3;
  let opened = 0;
  await patiently('rejection', new Promise((resolve, reject) => {
    const attempt = () => {
      let isOpen = false;
      const channel = openChannel(stream.userData, proofOf(stream, drive.key), {
        kinds: 8,
        onopen: () => {
          isOpen = true;
          opened += 1;
          // A part of nothing.
          channel.messages[NEXT].send(Buffer.of(100, 1));
        },
        onclose: () => {
          if (!isOpen) resolve();
          else if (opened > 100) reject(new Error('it was taken a hundred times'));
          else setImmediate(attempt);
        },
      });
    };
    attempt();
  }));
  assert.ok(opened >= 3 && opened <= 20, `${opened} times`);
  assert.equal(stream.destroying, false, 'replication goes on');
});

test('a remote that answers no question and sends something else is alive', async (t) => {
  const drive = await openDrive(await openStore(t), 0);
  const copy = await openCopy(t, drive.key);
  const near = startNative(t, drive);
  await near.sockets.ready;
  const added = once(copy.core, 'peer-add');
  const [, { noiseStream: stream }] = join(t, near.sockets.handle(drive.replicate(true)), copy.replicate(false));
  const [peer] = await patiently('replication', added);
  openChannel(stream.userData, proofOf(stream, drive.key));
  await near.joins.next();
  // As long replication does, before which an answer cannot come.
  const extension = copy.core.registerExtension('replication', { encoding: 'binary' });
  const replication = setInterval(() => extension.send(randomBytes(10), peer), 500);
  t.after(() => clearInterval(replication));
  // It is asked after 3 s, and would be dead 7 s later.
  await pause(11_000);
  assert.deepEqual(near.leaves.rest, []);
});

test('topics that are refused are no extensions', async (t) => {
  const drive = await openDrive(await openStore(t), 0);
  const { sockets, errors } = startNative(t, drive);
  await sockets.ready;
  const long = 'x'.repeat(256);
  // One is joined already.
  for (let number = 0; number < 127; number += 1) sockets.join(`topic ${number}`);
  const refused = [long, 'one too many'].map((name) => sockets.join(name));
  assert.deepEqual((await errors.take(2)).map(({ code }) => code), ['topic-too-long', 'too-many-topics']);
  const copy = await openCopy(t, drive.key);
  const added = once(drive.core, 'peer-add');
  join(t, drive.replicate(true), copy.replicate(false));
  const [{ extensions }] = await patiently('peer', added);
  const names = () => [...extensions.keys()].filter((name) => name.startsWith('peersockets/v0/'));
  assert.equal(names().length, 128);
  for (const topic of refused) topic.close();
  assert.equal(names().length, 128);
});
