// What a relay, and a stranger in the room, get to see of processes that replicate a drive: its discovery key would lead them to it.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { SecretDrive, found } from '../e2e/support/needles.mjs';
import { startRecorder } from '../e2e/support/recorder.mjs';
import { startRelay } from '../e2e/support/relay.mjs';
import { openCopy, openDrive, openStore, readFile } from './support/drive-peer.mjs';
import { startNative } from './support/native.mjs';
import { patiently, until } from './support/patience.mjs';
import { dialFirst } from './support/stranger.mjs';

const relay = await startRelay();

async function openSecretDrive(t) {
  const drive = await openDrive(await openStore(t), 0);
  return { drive, secret: new SecretDrive(drive.key) };
}

test('the relay of processes that replicate sees neither drive key nor discovery key nor topic nor message nor file', async (t) => {
  const recorder = await startRecorder(relay);
  const { drive, secret } = await openSecretDrive(t);
  const copy = await openCopy(t, drive.key);
  const [near, far] = [drive, copy].map((drive) => startNative(t, drive, { relays: recorder.relayUrl }));
  const topic = near.sockets.join(`topic ${randomUUID()}`);
  const [message, file] = [randomUUID(), randomUUID().repeat(1_000)];
  const { peerId } = await near.joins.next();
  topic.send(peerId, message);
  near.chat.send(peerId, message);
  assert.equal(await far.nextText(), message);
  await drive.put('/file', file);
  assert.equal((await readFile(copy, '/file')).toString(), file);

  assert.deepEqual(drive.discoveryKey, secret.discoveryKeyForms[0]);
  const secrets = [...secret.keyForms, ...secret.discoveryKeyForms, drive.blobs.core.discoveryKey, topic.name, message, file.slice(0, 36), '/file', 'hypercore/alpha'];
  assert.deepEqual(found(secrets, recorder.everything), []);
  assert.deepEqual(found([secret.rendezvousId], recorder.everything), [secret.rendezvousId], 'the id of the room is what it may see');
  const passed = recorder.connections.flatMap(({ messages }) => messages).reduce((sum, { bytes }) => sum + bytes.length, 0);
  assert.ok(passed > 2 * file.length, 'the record is complete');
});

test('a process shows the discovery key to nobody who has not proved the drive key', async (t) => {
  const { drive, secret } = await openSecretDrive(t);
  const native = startNative(t, drive, { relays: relay.relayUrl });
  await until(native.sockets, 'ready');
  const stranger = await dialFirst(relay, secret.rendezvousId);
  await stranger.guess();
  await patiently('end of the circuit', stranger.hungUp);
  assert.deepEqual(found(['peersockets/1'], stranger.heard), ['peersockets/1'], 'it was spoken to');
  assert.deepEqual(found([drive.key, drive.discoveryKey, 'hypercore/alpha'], stranger.heard), []);
  assert.deepEqual(native.joins.rest, []);

  const member = await dialFirst(relay, secret.rendezvousId);
  assert.deepEqual(found([drive.discoveryKey], member.heard), []);
  await member.prove(drive.key);
  await member.hear(drive.discoveryKey);
  assert.equal((await native.joins.next()).peerId, 1);
});
