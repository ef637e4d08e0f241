// Whoever is in the room without the drive key: a stranger, a relay that loops a device back to itself, one who replays what an
// honest device said. Nobody sees them join, and they learn nothing.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { openPerson, startBrowser } from './support/browser.mjs';
import { SecretDrive, found } from './support/needles.mjs';
import { open, send } from './support/package-page.mjs';
import { startRecorder } from './support/recorder.mjs';
import { joinRoom } from './support/relay-client.mjs';
import { frame, kind } from './support/relay-frames.mjs';
import { startRelay } from './support/relay.mjs';
import { startTrickster } from './support/trickster.mjs';

/** Bytes of the first and second message of the handshake, with their length fields. */
const NOISE_CALL = 35;
const NOISE_ANSWER = 99;

const browser = await startBrowser();
const sealedRelay = await startRelay();
const unsealedRelay = await startRelay({ pkg: fileURLToPath(new URL('../../target/pkg-unsealed', import.meta.url)) });

for (const name of ['sealed', 'unsealed']) {
  test(`a stranger with the id of the room and another drive key meets nobody (${name})`, async (t) => {
    const relay = name === 'sealed' ? sealedRelay : unsealedRelay;
    const drive = new SecretDrive();
    const topic = `topic ${randomUUID()}`;
    const words = `words ${randomUUID()}`;
    const url = `${relay.url}/package.html`;
    // The recorder gives the stranger the id of the room: it writes it into the stranger's JOIN.
    const change = (bytes, from) => (from === 'page' && bytes[0] === kind.join && bytes.length === 33 ? Buffer.concat([bytes.subarray(0, 1), drive.rendezvousId]) : bytes);
    const strangersRecorder = await startRecorder(relay, { change });
    const honestRecorder = await startRecorder(relay);

    const [alice, stranger, bob] = await Promise.all([1, 2, 3].map(() => openPerson(t, browser, url)));
    // What they say goes past the recorder: with WebRTC it would soon go elsewhere.
    const relayed = { url: drive.url, direct: false };
    await open(alice, relayed, honestRecorder, topic);
    await alice.evaluate(() => states.until('ready'));
    await open(stranger, new SecretDrive(), strangersRecorder, topic);
    await send(stranger, ['from the stranger']);
    // The stranger dials Alice, who was there before; Bob, who comes after, dials both.
    const withAlice = await strangersRecorder.frames.first((frame) => frame.from === 'page' && frame.kind === kind.dial);
    await strangersRecorder.frames.first((frame) => frame.kind === kind.hangup && frame.member === withAlice.member);
    await open(bob, relayed, honestRecorder, topic);
    const withBob = await strangersRecorder.frames.first((frame) => frame.from === 'relay' && frame.kind === kind.dialed);
    await strangersRecorder.frames.first((frame) => frame.kind === kind.hangup && frame.member === withBob.member);
    await alice.evaluate(() => joins.next());
    await bob.evaluate(() => joins.next());
    await send(bob, [words]);
    assert.deepEqual(await alice.evaluate(async () => text((await messages.next()).message)), words);

    const seen = (person) => person.evaluate(() => ({ joins: joins.all.map(({ peerId }) => peerId), messages: messages.all.length, peers: sockets.stats().peers.length }));
    assert.deepEqual(await seen(alice), { joins: [1], messages: 1, peers: 1 });
    assert.deepEqual(await seen(bob), { joins: [1], messages: 0, peers: 1 });
    assert.deepEqual(await seen(stranger), { joins: [], messages: 0, peers: 0 });
    // The stranger can open what is sealed for it: without sealing the record shows what it learned that way.
    const secrets = [topic, words, ...drive.keyForms, ...drive.discoveryKeyForms];
    assert.deepEqual(found(secrets, strangersRecorder.everything).length, 0);
    assert.deepEqual(found(secrets, honestRecorder.everything), name === 'sealed' ? [] : [topic, words]);
  });
}

test('a device that the relay loops back to itself meets nobody', async (t) => {
  const drive = new SecretDrive();
  const trickster = await startTrickster();
  const [alice, bob] = await Promise.all([1, 2].map(() => openPerson(t, browser, `${sealedRelay.url}/package.html`)));

  await open(alice, drive, trickster, 'mirror');
  const call = await trickster.frames.first(({ kind: is }) => is === kind.data);
  const answer = await trickster.frames.first(({ kind: is, member }) => is === kind.data && member !== call.member);
  assert.deepEqual([call.rest.length, answer.rest.length], [NOISE_CALL, NOISE_ANSWER], 'it began to shake hands with itself');
  const { reason } = await trickster.frames.first(({ kind: is }) => is === kind.hangup);
  assert.equal(reason, 0, 'it hung up without calling it a violation, which would be dialled again');

  // The same relay is good enough for two devices: so it was for one.
  trickster.loops = false;
  await open(bob, drive, trickster, 'mirror');
  await Promise.all([alice, bob].map((person) => person.evaluate(() => joins.next())));
  for (const person of [alice, bob]) assert.deepEqual(await joinsOf(person), [1]);
});

test('replaying all that a dialler said to a device gives it no join', async (t) => {
  const { drive, alice, bob, recorder } = await meetOnce(t);
  await bob.page.close();
  await alice.evaluate(() => leaves.next());

  const attacker = await joinRoom(sealedRelay, drive.rendezvousId);
  const { member } = await recorder.frames.first(({ from, kind: is }) => from === 'page' && is === kind.dial);
  attacker.send(frame(kind.dial, member, 1));
  for (const chunk of recorder.connections[1].chunksFrom('page')) attacker.send(frame(kind.data, member, 1, chunk));
  const answer = await attacker.frames.first(({ kind: is }) => is === kind.data);
  assert.equal(answer.rest.length, NOISE_ANSWER, 'the device answered the replayed call');
  const { reason } = await attacker.frames.first(({ kind: is }) => is === kind.hungUp);
  assert.equal(reason, 2, 'and hung up over what followed');

  const carol = await openPerson(t, browser, `${sealedRelay.url}/package.html`);
  await open(carol, drive, sealedRelay, 'replay');
  await carol.evaluate(() => joins.next());
  await alice.evaluate(() => joins.take(2));
  assert.deepEqual(await joinsOf(alice), [1, 2]);
  assert.deepEqual(await alice.evaluate(() => messages.all.length), 1);
});

test('replaying all that a device answered to one that dials gives it no join', async (t) => {
  const { drive, alice, bob, recorder } = await meetOnce(t);
  await bob.page.close();
  await alice.evaluate(() => leaves.next());

  const attacker = await joinRoom(sealedRelay, drive.rendezvousId);
  const dave = await openPerson(t, browser, `${sealedRelay.url}/package.html`);
  await open(dave, drive, sealedRelay, 'replay');
  const { member, circuit } = await attacker.frames.first(({ kind: is }) => is === kind.dialed);
  for (const chunk of recorder.connections[0].chunksFrom('page')) attacker.send(frame(kind.data, member, circuit, chunk));
  const { reason } = await attacker.frames.first(({ kind: is }) => is === kind.hungUp);
  assert.equal(reason, 2);

  await alice.evaluate(() => joins.take(2));
  await send(alice, ['to the newcomer'], [], 2);
  assert.equal(await dave.evaluate(async () => text((await messages.next()).message)), 'to the newcomer');
  assert.deepEqual([await joinsOf(alice), await joinsOf(dave)], [[1, 2], [1]]);
});

/** Bob, who comes second, dials Alice through a recorder, and sends her one message. */
async function meetOnce(t) {
  const drive = new SecretDrive();
  const recorder = await startRecorder(sealedRelay);
  const [alice, bob] = await Promise.all([1, 2].map(() => openPerson(t, browser, `${sealedRelay.url}/package.html`)));
  await open(alice, drive, recorder, 'replay');
  await alice.evaluate(() => states.until('ready'));
  await open(bob, drive, recorder, 'replay');
  await bob.evaluate(() => joins.next());
  await send(bob, ['once']);
  await alice.evaluate(() => messages.next());
  return { drive, recorder, alice, bob };
}

/** The ids of all peers that a person saw join. */
function joinsOf(person) {
  return person.evaluate(() => joins.all.map(({ peerId }) => peerId));
}
