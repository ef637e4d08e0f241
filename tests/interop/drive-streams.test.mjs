// Streams that a process has itself: its peers on them, with this package at the other end and without, and the drive's replication.

import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { test } from 'node:test';
import { joinChat, openCopy, openDrive, openStore, readFile } from './support/drive-peer.mjs';
import { arrivals, join, joinByTcp, startNative } from './support/native.mjs';
import { patiently } from './support/patience.mjs';

const digest = (bytes) => [bytes.byteLength, createHash('sha256').update(bytes).digest('base64')];
const SIZES = [0, 1, 65_536, 1_048_576, 8_388_607];

/** A drive, and a copy of it elsewhere. */
async function openBoth(t) {
  const drive = await openDrive(await openStore(t), 0);
  return [drive, await openCopy(t, drive.key)];
}

/** A file that is written here is read there. */
async function replicates(from, to) {
  const path = `/${randomBytes(8).toString('hex')}`;
  const bytes = randomBytes(100_000);
  await from.put(path, bytes);
  assert.deepEqual(await readFile(to, path), bytes);
}

test('two processes on one stream are peers of each other, exchange messages of every size, and replicate', async (t) => {
  const [ours, theirs] = await openBoth(t);
  const [near, far] = [startNative(t, ours), startNative(t, theirs)];
  await joinByTcp(t, near.sockets.handle(ours.replicate(true)), far.sockets.handle(theirs.replicate(false)));
  assert.deepEqual([(await near.joins.next()).peerId, (await far.joins.next()).peerId], [1, 1]);
  for (const size of SIZES) {
    for (const [from, to] of [[near, far], [far, near]]) {
      const message = randomBytes(size);
      from.chat.send(1, message);
      assert.deepEqual(digest((await to.messages.next()).message), digest(message));
    }
    await replicates(ours, theirs);
  }
  const [{ path, url, publicKey }] = near.sockets.stats().peers;
  assert.deepEqual([path, url, publicKey.length], ['direct', undefined, 64]);
  assert.equal(near.sockets.state, 'ready');
});

test('a process that closes leaves at once, and the stream goes on replicating', async (t) => {
  const [ours, theirs] = await openBoth(t);
  const [near, far] = [startNative(t, ours), startNative(t, theirs)];
  join(t, near.sockets.handle(ours.replicate(true)), far.sockets.handle(theirs.replicate(false)));
  await Promise.all([near.joins.next(), far.joins.next()]);
  near.chat.send(1, 'good night');
  await near.sockets.close();
  assert.equal(await far.nextText(), 'good night');
  assert.equal((await far.leaves.next()).peerId, 1);
  await replicates(ours, theirs);
});

test('a plain process exchanges messages of every size by one extension, comes, and goes with its stream', async (t) => {
  const [ours, theirs] = await openBoth(t);
  const near = startNative(t, ours);
  const { messages, send } = joinChat(theirs);
  const [stream] = join(t, near.sockets.handle(ours.replicate(true)), theirs.replicate(false));
  assert.equal((await near.joins.next()).peerId, 1);
  for (const size of SIZES) {
    const message = randomBytes(size);
    near.chat.send(1, message);
    const { bytes, peer } = await messages.next();
    assert.deepEqual(digest(bytes), digest(message));
    send(bytes, peer);
    assert.deepEqual(digest((await near.messages.next()).message), digest(message));
    await replicates(ours, theirs);
  }
  stream.destroy();
  assert.equal((await near.leaves.next()).peerId, 1);
});

test('a plain process that greets whoever has its drive is heard, before anything is known of it', async (t) => {
  const [ours, theirs] = await openBoth(t);
  const { messages, send } = joinChat(theirs);
  theirs.core.on('peer-add', (peer) => send(Buffer.from('hello'), peer));
  const near = startNative(t, ours);
  await near.sockets.ready;
  join(t, near.sockets.handle(ours.replicate(true)), theirs.replicate(false));
  const { peerId } = await near.joins.next();
  assert.equal(await near.nextText(), 'hello');
  near.chat.send(peerId, 'hello too');
  assert.equal((await messages.next()).bytes.toString(), 'hello too');
});

test('a process that takes up the stream later is the same peer, and can say when it leaves', async (t) => {
  const [ours, theirs] = await openBoth(t);
  const near = startNative(t, ours);
  const [, stream] = join(t, near.sockets.handle(ours.replicate(true)), theirs.replicate(false));
  await near.joins.next();
  const far = startNative(t, theirs);
  far.sockets.handle(stream);
  const { peerId } = await far.joins.next();
  far.chat.send(peerId, 'here I am');
  assert.equal(await near.nextText(), 'here I am');
  near.chat.send(1, 'I know');
  assert.equal(await far.nextText(), 'I know');
  assert.deepEqual([near.joins.rest, near.leaves.rest], [[], []]);
  await far.sockets.close();
  assert.equal((await near.leaves.next()).peerId, 1);
  await replicates(ours, theirs);
});

test('a stream is taken up again by a process that has closed and comes back', async (t) => {
  const [ours, theirs] = await openBoth(t);
  const near = startNative(t, ours);
  const stream = theirs.replicate(false);
  join(t, near.sockets.handle(ours.replicate(true)), stream);
  for (let times = 0; times < 3; times += 1) {
    const far = startNative(t, theirs);
    far.sockets.handle(stream);
    await far.joins.next();
    far.chat.send(1, `time ${times}`);
    assert.equal(await near.nextText(), `time ${times}`);
    await far.sockets.close();
    await near.leaves.next();
  }
  assert.deepEqual((await near.joins.take(3)).map(({ peerId }) => peerId), [1, 1, 1]);
});

test('a plain process that opens the drive later becomes a peer', async (t) => {
  const [ours] = await openBoth(t);
  const store = await openStore(t);
  const near = startNative(t, ours);
  const [stream] = join(t, near.sockets.handle(ours.replicate(true)), store.replicate(false));
  await near.sockets.ready;
  await stream.opened;
  const theirs = await openDrive(store, 1, ours.key);
  const { messages } = joinChat(theirs);
  near.chat.send((await near.joins.next()).peerId, 'hello');
  assert.equal((await messages.next()).bytes.toString(), 'hello');
});

test('a plain process that closes the drive and not the stream leaves', async (t) => {
  const [ours, theirs] = await openBoth(t);
  const near = startNative(t, ours);
  const added = once(theirs.core, 'peer-add');
  const [stream] = join(t, near.sockets.handle(ours.replicate(true)), theirs.replicate(false));
  const [peer] = await patiently('replication', added);
  const { peerId } = await near.joins.next();
  peer.channel.close();
  assert.equal((await near.leaves.next()).peerId, peerId);
  assert.equal(stream.noiseStream.destroying, false);
});

test('garbage in the place of a handshake ends its stream, and nothing else', async (t) => {
  const [ours, theirs] = await openBoth(t);
  const near = startNative(t, ours);
  // None begins with a point of the curve, which would be taken for a key and answered.
  const frames = [Buffer.of(7), Buffer.alloc(48), Buffer.alloc(64, 0xff), Buffer.from('GET / HTTP/1.1\r\n\r\n')];
  for (const isInitiator of [true, false]) {
    for (const frame of frames) {
      const stream = near.sockets.handle(ours.replicate(isInitiator));
      const ended = new Promise((resolve) => stream.noiseStream.once('close', resolve));
      stream.write(Buffer.concat([Buffer.of(frame.length, 0, 0), frame]));
      await patiently(`end of a stream that was sent ${frame.length} bytes`, ended);
    }
  }
  join(t, near.sockets.handle(ours.replicate(true)), theirs.replicate(false));
  await near.joins.next();
  assert.deepEqual([near.errors.rest, near.leaves.rest], [[], []]);
});

test('several drives of one corestore share a stream, each with peers and messages of its own', async (t) => {
  const store = await openStore(t);
  const copies = await openStore(t);
  const drives = await Promise.all([0, 1, 2].map((index) => openDrive(store, index)));
  const theirs = await Promise.all(drives.map(({ key }, index) => openDrive(copies, index, key)));
  const [stream, other] = join(t, store.replicate(true), copies.replicate(false));
  // Of the third drive, the other end has no more than npm's libraries.
  const near = drives.map((drive) => startNative(t, drive));
  const far = theirs.slice(0, 2).map((drive) => startNative(t, drive));
  const plain = joinChat(theirs[2]);
  for (const { sockets } of near) sockets.handle(stream);
  for (const { sockets } of far) sockets.handle(other);
  for (const { joins } of [...near, ...far]) assert.equal((await joins.next()).peerId, 1);
  for (const [index, { chat }] of near.entries()) chat.send(1, `drive ${index}`);
  assert.deepEqual(await Promise.all(far.map((native) => native.nextText())), ['drive 0', 'drive 1']);
  assert.equal((await plain.messages.next()).bytes.toString(), 'drive 2');
  await near[0].sockets.close();
  await far[0].leaves.next();
  near[1].chat.send(1, 'still here');
  assert.equal(await far[1].nextText(), 'still here');
  for (const { messages, joins } of [...near, ...far]) assert.deepEqual([messages.rest, joins.rest], [[], []]);
  for (const [index, drive] of drives.entries()) await replicates(drive, theirs[index]);
});

test('without replication the stream carries messages only', async (t) => {
  const [ours, theirs] = await openBoth(t);
  const stream = (drive, isInitiator) => drive.core.constructor.createProtocolStream(isInitiator);
  const [near, far] = [startNative(t, ours), startNative(t, theirs)];
  join(t, near.sockets.handle(stream(ours, true), { replicate: false }), far.sockets.handle(stream(theirs, false), { replicate: false }));
  await Promise.all([near.joins.next(), far.joins.next()]);
  near.chat.send(1, 'hello');
  assert.equal(await far.nextText(), 'hello');
  assert.deepEqual([ours.core.peers.length, theirs.core.peers.length], [0, 0]);
});

test('topics that nobody has joined any more reach nobody, and handles of one topic each get a message', async (t) => {
  const [ours, theirs] = await openBoth(t);
  const near = startNative(t, ours);
  const { send } = joinChat(theirs);
  const second = near.sockets.join('chat');
  const seconds = arrivals(second, 'message');
  const added = new Promise((resolve) => theirs.core.once('peer-add', resolve));
  join(t, near.sockets.handle(ours.replicate(true)), theirs.replicate(false));
  const peer = await added;
  await near.joins.next();
  send(Buffer.from('for both'), peer);
  assert.equal(await near.nextText(), 'for both');
  await seconds.next();
  near.chat.close();
  send(Buffer.from('for one'), peer);
  await seconds.next();
  assert.ok(ours.core.peers[0].extensions.has('peersockets/v0/chat'));
  second.close();
  assert.ok(!ours.core.peers[0].extensions.has('peersockets/v0/chat'));
  send(Buffer.from('for nobody'), peer);
  // When this has come, so has what was sent before.
  const markers = arrivals(near.sockets.join('marker'), 'message');
  theirs.core.registerExtension('peersockets/v0/marker', { encoding: 'binary' }).send(Buffer.from('marker'), peer);
  await markers.next();
  const lasts = arrivals(near.sockets.join('chat'), 'message');
  send(Buffer.from('for the last'), peer);
  assert.equal(new TextDecoder().decode((await lasts.next()).message), 'for the last');
  assert.deepEqual([near.messages.rest, seconds.rest], [[], []]);
});

test('what is no stream is an error event, and a stream taken twice is taken once', async (t) => {
  const [ours, theirs] = await openBoth(t);
  const near = startNative(t, ours);
  for (const nonsense of [null, undefined, 'stream', {}, { noiseStream: {} }, new EventTarget()]) {
    assert.equal(near.sockets.handle(nonsense), nonsense);
    const { code, error } = await near.errors.next();
    assert.equal(code, 'bad-stream');
    assert.match(error.message, /no secret stream\. Give handle\(\) a Hyperswarm connection/);
  }
  const stream = ours.replicate(true);
  assert.equal(near.sockets.handle(stream), stream);
  near.sockets.handle(stream);
  near.sockets.handle(stream.noiseStream, null);
  const { messages } = joinChat(theirs);
  join(t, stream, theirs.replicate(false));
  const { peerId } = await near.joins.next();
  near.sockets.handle(stream);
  near.chat.send(peerId, 'once');
  await messages.next();
  stream.destroy();
  await near.leaves.next();
  assert.equal(near.sockets.handle(stream), stream, 'one that is over is ignored');
  assert.deepEqual([near.joins.rest, near.errors.rest], [[], []]);
});

test('whoever connects and closes many times leaves nothing on the drive and the stream, nor do many drives on one stream', async (t) => {
  const warnings = [];
  const warn = (warning) => warnings.push(warning);
  process.on('warning', warn);
  t.after(() => process.off('warning', warn));
  const store = await openStore(t);
  const copies = await openStore(t);
  const drives = await Promise.all(Array.from({ length: 12 }, (_, index) => openDrive(store, index)));
  const theirs = await openDrive(copies, 0, drives[0].key);
  const [stream, other] = join(t, store.replicate(true), copies.replicate(false));
  const { noiseStream } = stream;
  await noiseStream.opened;
  const left = () => [
    ['data', 'drain', 'close'].map((event) => noiseStream.listenerCount(event)),
    noiseStream.userData._notify.has('peersockets/1##'),
    drives[0].listenerCount('close'),
    drives[0].core.sessions.length,
  ];
  const before = left();
  const far = startNative(t, theirs);
  far.sockets.handle(other);
  for (let times = 0; times < 12; times += 1) {
    const near = startNative(t, drives[0]);
    near.sockets.handle(stream);
    near.chat.send((await near.joins.next()).peerId, `time ${times}`);
    assert.equal(await far.nextText(), `time ${times}`);
    await near.sockets.close();
    await far.leaves.next();
  }
  assert.deepEqual(left(), before);
  const all = drives.map((drive) => startNative(t, drive));
  for (const { sockets } of all) sockets.handle(stream);
  await Promise.all(all.map(({ sockets }) => sockets.ready));
  await Promise.all(all.map(({ sockets }) => sockets.close()));
  assert.deepEqual(left(), before);
  assert.deepEqual(warnings, []);
});
