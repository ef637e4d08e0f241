// Sessions in real pages: whatever becomes of the connection between them, each message arrives, once, in order, and nobody leaves.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as pass } from 'node:timers/promises';
import { newDrive, openPerson, peersSeen, personUrl, startBrowser, untilDirect } from './support/browser.mjs';
import { open } from './support/package-page.mjs';
import { startRecorder } from './support/recorder.mjs';
import { startRelay } from './support/relay.mjs';
import { startSleeper } from './support/sleeper.mjs';

/** Messages that each of two sends the other, and how many in one go. */
const COUNT = 20_000;
const BATCH = 200;
/** How long packets are dropped, and a laptop sleeps, in milliseconds. */
const DROPPED = 3_000;
const ASLEEP = 30_000;

const CHROMIUM = [/^WebSocket connection to .* failed/, /^Failed to load resource: net::ERR_/];
const browser = await startBrowser();
const pages = await startRelay();

describe('20,000 messages each way', () => {
  for (const direct of [false, true]) {
    test(`arrive once and in order though the relay is killed twice, and nobody leaves, ${direct ? 'with direct connections' : 'through the relay'}`, async (t) => {
      const relay = await startRelay();
      const people = await meetAt(t, [relay], { direct });
      await talk(people);
      for (const share of [0.2, 0.6]) {
        await arrived(people, share * COUNT);
        await relay.kill();
        await relay.start();
      }
      await hasLostNothing(people);
    });
  }

  test('arrive though packets are dropped for 3 s', async (t) => {
    const relay = await startRelay();
    const recorder = await startRecorder(relay);
    const people = await meetAt(t, [relay], { others: [recorder] });
    await talk(people);
    await arrived(people, 0.2 * COUNT);
    recorder.hold();
    await pass(DROPPED);
    recorder.release();
    await hasLostNothing(people);
  });

  test('arrive though the relay moves to another URL of the list', async (t) => {
    const [first, second] = [await startRelay(), await startRelay()];
    await second.kill();
    const people = await meetAt(t, [first, second]);
    await talk(people);
    await arrived(people, 0.4 * COUNT);
    await second.start();
    await first.kill();
    await hasLostNothing(people);
  });
});

describe('a laptop that sleeps 30 s is missed, comes back with the same peer id, and gets what was sent before it left', { concurrency: true }, () => {
  test('through the relay', (t) => sleepAndWake(t, { direct: false }));
  test('with direct connections', (t) => sleepAndWake(t, { direct: true }));
});

test('while a peer is waited for it has no path, and where sessions are switched off it is not waited for', async (t) => {
  for (const { options, story } of [
    { options: {}, story: { path: 'none', queued: 5, left: 0, joined: 1, arrived: 'words' } },
    { options: { sessionTime: 0 }, story: { path: undefined, queued: undefined, left: 1, joined: 2, arrived: undefined } },
  ]) {
    const relay = await startRelay();
    const drive = newDrive();
    const people = [];
    for (let count = 0; count < 2; count += 1) {
      const person = await openPerson(t, browser, `${pages.url}/package.html`);
      person.expect(...CHROMIUM, /^\[beaker-peersockets\] no-relay: /);
      await open(person, { url: drive, direct: false, ...options }, relay, 'chat');
      people.push(person);
    }
    const [sender, receiver] = people;
    for (const person of people) await person.evaluate(() => joins.next());
    await relay.kill();
    await sender.evaluate(() => states.until('offline'));
    const { path, queued, left } = await sender.evaluate(() => {
      topic.send(1, 'words');
      const { path, queuedBytes } = sockets.stats().peers[0] ?? {};
      return { path, queued: queuedBytes, left: leaves.all.length };
    });
    await relay.start();
    for (const person of people) await person.evaluate(() => states.until('ready'));
    if (left > 0) for (const person of people) await person.evaluate(() => joins.next());
    await sender.evaluate(() => topic.send(1, 'last'));
    const arrived = await receiver.evaluate(async () => {
      const texts = [];
      while (texts.at(-1) !== 'last') texts.push(text((await messages.next()).message));
      return texts[0] === 'last' ? undefined : texts[0];
    });
    assert.deepEqual({ path, queued, left, joined: await sender.evaluate(() => joins.all.length), arrived }, story);
  }
});

async function sleepAndWake(t, { direct }) {
  const relay = await startRelay();
  const sleeper = await startSleeper();
  const url = personUrl(pages, { drive: newDrive(), relays: [relay], direct });
  const [awake, asleep] = [await openPerson(t, browser, url), await openPerson(t, sleeper.browser, url)];
  for (const person of [awake, asleep]) {
    // When the test ends the relay does, and before the pages.
    person.expect(...CHROMIUM, /^\[beaker-peersockets\] no-relay: /);
    await person.evaluate(() => joins.next());
  }
  for (const person of [awake, asleep]) await listen(person);
  if (direct) await Promise.all([awake, asleep].map(untilDirect));
  sleeper.sleep();
  await awake.evaluate(() => { for (let number = 0; number < 100; number += 1) chat.send(1, String(number)); });
  const end = pass(ASLEEP);
  await awake.evaluate(() => leaves.next());
  await awake.evaluate(() => chat.send(1, 'to nobody'));
  await end;
  sleeper.wake();
  assert.equal(await awake.evaluate(async () => (await joins.next()).peerId), 1);
  await awake.evaluate(() => chat.send(1, '100'));
  await asleep.evaluate((count) => reached(count), 101);
  assert.deepEqual(await asleep.evaluate(() => numbers), Array.from({ length: 101 }, (_, number) => number));
}

/** Two people who have met at relays, the second through others if they are given, and who talk through them unless `direct` is true. */
async function meetAt(t, relays, { others = relays, direct = false } = {}) {
  const drive = newDrive();
  const people = [];
  for (const list of [relays, others]) {
    const person = await openPerson(t, browser, personUrl(pages, { drive, relays: list, direct }));
    person.expect(...CHROMIUM, /^\[beaker-peersockets\] no-relay: /);
    people.push(person);
  }
  for (const person of people) await person.evaluate(() => joins.next());
  for (const person of people) await listen(person);
  return people;
}

/** Keeps the numbers that come on the topic `chat`; `reached(count)` waits for so many. */
function listen(person) {
  return person.evaluate(() => {
    window.numbers = [];
    window.waiting = () => {};
    window.chat = beaker.peersockets.join('chat');
    chat.addEventListener('message', ({ message }) => {
      numbers.push(Number(text(message)));
      waiting();
    });
    window.reached = async (count) => {
      while (numbers.length < count) await new Promise((resolve) => { window.waiting = resolve; });
    };
  });
}

/** Lets each send the other all messages, a batch at a time. */
async function talk(people) {
  for (const person of people) {
    await person.evaluate(({ count, batch }) => {
      let number = 0;
      const timer = setInterval(() => {
        for (const end = number + batch; number < end; number += 1) chat.send(1, String(number));
        if (number === count) clearInterval(timer);
      }, 50);
    }, { count: COUNT, batch: BATCH });
  }
}

function arrived(people, count) {
  return Promise.all(people.map((person) => person.evaluate((count) => reached(count), count)));
}

async function hasLostNothing(people) {
  await arrived(people, COUNT);
  for (const person of people) {
    const wrong = await person.evaluate(() => numbers.findIndex((number, index) => number !== index));
    assert.equal(wrong, -1, 'each once, in order');
    assert.equal(await person.evaluate(() => numbers.length), COUNT);
    assert.deepEqual(await peersSeen(person), { joined: [1], left: [] });
  }
}
