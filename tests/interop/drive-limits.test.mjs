// What strangers and members can make a process with a drive take from a relay's circuit.

import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { test } from 'node:test';
import { SecretDrive } from '../e2e/support/needles.mjs';
import { joinRoom } from '../e2e/support/relay-client.mjs';
import { frame, kind } from '../e2e/support/relay-frames.mjs';
import { startRelay } from '../e2e/support/relay.mjs';
import { openCopy, openDrive, openStore } from './support/drive-peer.mjs';
import { startNative } from './support/native.mjs';
import { patiently, until } from './support/patience.mjs';

const VIOLATION = 2;

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
  assert.ok(grown < 4 * 1024 * 1024, `${grown} bytes`);
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
