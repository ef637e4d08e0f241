// What the relay gets to see: everything that passes it is recorded and searched. The same search in the record of a package
// that was built without encryption shows that it finds what is there.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { openPerson, startBrowser } from './support/browser.mjs';
import { SecretDrive, found } from './support/needles.mjs';
import { open, send } from './support/package-page.mjs';
import { startRecorder } from './support/recorder.mjs';
import { startRelay } from './support/relay.mjs';

const unsealed = fileURLToPath(new URL('../../target/pkg-unsealed', import.meta.url));
/** One frame, several frames, several chunks for the relay. */
const SIZES = [36, 1_000, 20_000, 200_000, 1_048_576];

const browser = await startBrowser();
const sealedRelay = await startRelay({ options: ['--log', 'trace'] });
const unsealedRelay = await startRelay({ pkg: unsealed });

test('the relay sees neither drive key nor discovery key nor topic nor message', async (t) => {
  const run = await converse(t, sealedRelay);
  assert.deepEqual(found(run.secrets, run.recorder.everything), []);
  assert.ok(run.recorder.connections.length === 2 && run.bytesPassed > 2 * run.bytesSent, 'the record is complete');
  assert.deepEqual(found([run.drive.rendezvousId], run.recorder.everything), [run.drive.rendezvousId], 'the id of the room is what it may see');
});

test('without sealing the same search finds topic and every message', async (t) => {
  const run = await converse(t, unsealedRelay);
  const sent = [run.topic, ...run.messages];
  assert.deepEqual(found(sent, run.recorder.everything), sent);
});

test('without sealing even then no key is sent and the search would find one', async (t) => {
  const run = await converse(t, unsealedRelay);
  const keys = [...run.drive.keyForms, ...run.drive.discoveryKeyForms];
  assert.deepEqual(found(keys, run.recorder.everything), []);

  await send(run.alice, keys.map((key) => [...key]));
  await run.bob.evaluate((count) => messages.take(count), keys.length);
  assert.deepEqual(found(keys, run.recorder.everything), keys);
});

test('the keys searched for are the keys of the drive', async (t) => {
  const drive = new SecretDrive();
  const person = await openPerson(t, browser, `${sealedRelay.url}/package.html`);
  for (const url of [drive.url, drive.shortUrl]) {
    await open(person, drive.url === url ? drive : { url }, sealedRelay, 'keys');
    const discoveryKey = await person.evaluate(async () => (await sockets.ready, sockets.stats().driveDiscoveryKey));
    assert.equal(discoveryKey, drive.discoveryKeyForms[1].toString());
  }
});

test('the log of the relay at its most talkative holds no secret either', async (t) => {
  const run = await converse(t, sealedRelay, ({ url }) => `/package.html?hyperdrive=${encodeURIComponent(url)}`);
  const log = Buffer.from(sealedRelay.completeLog);
  assert.match(sealedRelay.completeLog, /DEBUG|TRACE/, 'it is talkative');
  assert.deepEqual(found([...run.secrets, run.drive.rendezvousId, run.drive.rendezvousId.toString('hex')], [log]), []);
});

/** Two people of one drive send each other messages through a recorder, and not directly; each gets all of them. */
async function converse(t, relay, path = () => '/package.html') {
  const drive = new SecretDrive();
  const topic = `topic ${randomUUID()}`;
  const recorder = await startRecorder(relay);
  const [alice, bob] = await Promise.all(['Alice', 'Bob'].map(() => openPerson(t, browser, relay.url + path(drive))));
  await Promise.all([alice, bob].map((person) => open(person, { url: drive.url, direct: false }, recorder, topic)));
  const messages = [];
  for (const [sender, receiver] of [[alice, bob], [bob, alice]]) {
    await sender.evaluate(() => joins.next());
    const words = SIZES.map(() => randomUUID());
    await send(sender, words, SIZES);
    const lengths = await receiver.evaluate(async (count) => (await messages.take(count)).map(({ message }) => message.byteLength), SIZES.length);
    assert.deepEqual(lengths, SIZES);
    messages.push(...words);
  }
  return {
    drive, recorder, alice, bob, topic, messages,
    secrets: [...drive.keyForms, ...drive.discoveryKeyForms, topic, ...messages],
    bytesSent: 2 * SIZES.reduce((sum, size) => sum + size),
    get bytesPassed() {
      return recorder.connections.flatMap((connection) => connection.messages).reduce((sum, { bytes }) => sum + bytes.length, 0);
    },
  };
}
