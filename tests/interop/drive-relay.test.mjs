// Processes with a drive whose relay, or who themselves, are held up.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { startRelay } from '../e2e/support/relay.mjs';
import { openCopy, openDrive, openStore } from './support/drive-peer.mjs';
import { startNativeProcess } from './support/native-process.mjs';
import { startNative } from './support/native.mjs';

const relay = await startRelay();
const digest = (bytes) => createHash('sha256').update(bytes).digest('base64');

test('what a device says last is heard by a process that was busy when it came', async (t) => {
  const far = await startNativeProcess(t, { relays: [relay] });
  const native = startNative(t, await openCopy(t, far.key), { relays: relay.relayUrl });
  await native.joins.next();
  await far.joins.next();
  const directory = await mkdtemp(join(tmpdir(), 'busy-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  const file = join(directory, 'ended');
  const closed = far.call('sayAndClose', { count: 20, length: 1_000, file });
  // Nothing is read here until it has ended: its words and its leaving come in one piece.
  const { status } = spawnSync('sh', ['-c', `until [ -e '${file}' ]; do sleep 0.02; done`], { timeout: 20_000 });
  assert.equal(status, 0);
  await closed;
  await native.leaves.next();
  assert.deepEqual(native.messages.rest.map(({ message }) => Number(new TextDecoder().decode(message))), Array.from({ length: 20 }, (_, number) => number));
});

test('a relay that takes nothing for a while holds messages and replication up, and loses nothing', async (t) => {
  const drive = await openDrive(await openStore(t), 0);
  const [near, far] = [drive, await openCopy(t, drive.key)].map((drive) => startNative(t, drive, { relays: relay.relayUrl }));
  await Promise.all([near.joins.next(), far.joins.next()]);
  const large = [randomBytes(8_388_607), randomBytes(8_388_607)];
  process.kill(relay.pid, 'SIGSTOP');
  try {
    for (const message of large) near.chat.send(1, message);
    await standstill(() => near.sockets.stats().peers[0].queuedBytes);
    assert.ok(near.sockets.stats().peers[0].queuedBytes > 1_000_000, 'more than all buffers hold');
  } finally {
    process.kill(relay.pid, 'SIGCONT');
  }
  for (const message of large) assert.equal(digest((await far.messages.next()).message), digest(message));
});

/** Waits until a number does not change any more. */
async function standstill(read) {
  for (let last, now = read(); last !== now; ) {
    last = now;
    await pause(200);
    now = read();
  }
}
