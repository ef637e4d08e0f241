// What direct connections show to whom: the relay sees no signal, and whoever wants none, or can't have one, has none.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as pass } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { newDrive, nextText, openPerson, startBrowser } from './support/browser.mjs';
import { connectionsOf, meetDirect, openDirect, until, untilTrue } from './support/direct.mjs';
import { found } from './support/needles.mjs';
import { startRecorder } from './support/recorder.mjs';
import { startRelay } from './support/relay.mjs';

/** In which somebody who wanted to connect directly would have begun, in milliseconds. */
const LONG_ENOUGH = 5_000;

const browser = await startBrowser();
const relay = await startRelay();
const unsealedRelay = await startRelay({ pkg: fileURLToPath(new URL('../../target/pkg-unsealed', import.meta.url)) });

test('the relay sees no signal of a direct connection', async (t) => {
  const { recorder, needles } = await connect(t, relay);
  assert.deepEqual(found(needles, recorder.everything), []);
});

test('without sealing the same search finds signals', async (t) => {
  const { recorder, needles } = await connect(t, unsealedRelay);
  assert.deepEqual(found(needles, recorder.everything), needles);
});

test('who wants no direct connection gets none, and nobody makes one to it', async (t) => {
  const people = await meetDirect(t, browser, { pages: relay, relay, drive: newDrive() }, [{}, { direct: false }, {}]);
  const [one, shy, other] = people;
  const [keyOfOne, keyOfShy, keyOfOther] = await Promise.all(people.map((person) => person.evaluate(() => sockets.stats().deviceKey)));
  await untilPaths(one, { [keyOfShy]: 'relay', [keyOfOther]: 'direct' });
  await untilPaths(other, { [keyOfShy]: 'relay', [keyOfOne]: 'direct' });
  await pass(LONG_ENOUGH);
  await untilPaths(one, { [keyOfShy]: 'relay', [keyOfOther]: 'direct' });
  await untilPaths(other, { [keyOfShy]: 'relay', [keyOfOne]: 'direct' });
  assert.deepEqual((await connectionsOf(shy)).made, 0);
  for (const person of [one, other]) assert.equal((await connectionsOf(person)).open, 1);
  for (const person of people) await person.evaluate(() => { for (const peerId of peerEvents.peers) topic.send(peerId, 'words'); });
  for (const person of people) assert.equal((await person.evaluate(() => messages.take(2))).length, 2);
  assert.deepEqual(await shy.evaluate(() => paths.all.map(({ path }) => path)), ['relay', 'relay']);
});

test('a worker, which has no WebRTC, talks to a page through the relay', async (t) => {
  const drive = newDrive();
  const page = await openDirect(t, browser, { pages: relay, relay, drive });
  const person = await openPerson(t, browser, `${relay.url}/package.html`);
  await person.evaluate((options) => {
    const worker = new Worker('/worker.js', { type: 'module' });
    const { port1, port2 } = new MessageChannel();
    window.port = port1;
    window.told = new Promise((resolve) => {
      port1.onmessage = ({ data: [type, { text }] }) => type === 'message' && resolve(text);
    });
    worker.postMessage(null, [port2]);
    port1.postMessage({ options });
  }, { drive, relays: relay.relayUrl });
  await page.evaluate(() => joins.next());
  await page.evaluate(() => topic.send(1, 'to a worker'));
  assert.equal(await person.evaluate(() => told), 'to a worker');
  await person.evaluate(() => port.postMessage({ peerId: 1, text: 'from a worker' }));
  assert.equal(await nextText(page), 'from a worker');
  await pass(LONG_ENOUGH);
  assert.deepEqual(await connectionsOf(page), { made: 0, open: 0 });
  assert.equal(await page.evaluate(() => sockets.stats().peers[0].path), 'relay');
});

/** Two people connect directly; what they and the relay said to each other is in `recorder`, words of their signals are in `needles`. */
async function connect(t, relay) {
  const recorder = await startRecorder(relay);
  const people = await meetDirect(t, browser, { pages: relay, relay: recorder, drive: newDrive() });
  const descriptions = [];
  for (const person of people) {
    await until(person, 'direct');
    descriptions.push(await person.evaluate(() => connections.find(({ connectionState }) => connectionState === 'connected').localDescription.sdp));
  }
  const words = ['candidate:', 'a=fingerprint:', 'webrtc-datachannel', ...descriptions.flatMap(secretsOf)];
  const needles = words.map((text) => Buffer.from(text));
  assert.deepEqual(found(needles, descriptions.map((sdp) => Buffer.from(sdp))), needles, 'these are words of descriptions');
  assert.equal(recorder.connections.length, 2, 'the record is complete');
  return { recorder, needles };
}

/** Waits until messages to the devices of these keys travel so. */
function untilPaths(person, paths) {
  return untilTrue(person, (paths) => {
    const { peers } = sockets.stats();
    return Object.entries(paths).every(([key, path]) => peers.find(({ publicKey }) => publicKey === key)?.path === path);
  }, paths);
}

/** What only this description says. */
function secretsOf(sdp) {
  return [/a=fingerprint:\S+ (\S+)/, /a=ice-ufrag:(\S+)/, /a=ice-pwd:(\S+)/].map((pattern) => pattern.exec(sdp)[1]);
}
