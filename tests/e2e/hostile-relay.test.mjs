// A relay that damages, drops, repeats, reorders, delays, injects, replays and forges: no message is ever given out wrong, twice or out of
// order. At worst a peer leaves and joins.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as pass } from 'node:timers/promises';
import { newDrive, openPerson, personUrl, startBrowser } from './support/browser.mjs';
import { startMeddler } from './support/meddler.mjs';
import { startRelay } from './support/relay.mjs';

/** How long the relay meddles at least, in milliseconds. */
const TIME = 15_000;
/** Messages that each sends the other at once, and how long it pauses then, in milliseconds. */
const BATCH = 20;
const PAUSE = 20;
/** Messages that must have come meanwhile, and that are sent afterwards. */
const DELIVERED = 1_000;
const AFTERWARDS = 100;

const browser = await startBrowser();
const relay = await startRelay();

test('what a hostile relay does for 15 s makes no message wrong, doubled or out of order, and afterwards everything arrives', { timeout: 120_000 }, async (t) => {
  const seed = Number(process.env.TEST_SEED ?? Date.now() % 0x7fff_ffff);
  t.diagnostic(`TEST_SEED=${seed}`);
  const meddler = await startMeddler(relay, seed);
  const drive = newDrive();
  const people = [];
  for (const number of [1, 2]) {
    const person = await openPerson(t, browser, personUrl(relay, { drive, relays: [meddler], direct: false }));
    person.expect(/^\[beaker-peersockets\] (peer-misbehaved|not-a-relay|message-lost): /);
    await person.evaluate(listen, number);
    people.push(person);
  }
  for (const person of people) await person.evaluate(() => joins.next());

  for (const person of people) await person.evaluate(talk, { batch: BATCH, pause: PAUSE });
  meddler.isMeddling = true;
  await Promise.all([pass(TIME), meddler.hasDoneAll]);
  // Whether enough gets through is a question of how long its faults keep the two apart.
  for (const { page } of people) await page.evaluate((count) => reached(count), DELIVERED);
  meddler.isMeddling = false;
  for (const person of people) await person.evaluate(() => clearInterval(talking));

  for (const person of people) await person.evaluate((count) => sendAfterwards(count), AFTERWARDS);
  for (const person of people) await person.evaluate(() => afterwards);
  const seen = await Promise.all(people.map((person) => person.evaluate(() => ({
    wrong, received: received.length, isInOrder: received.every((number, index) => index === 0 || number > received[index - 1]),
    lost: received.at(-1) + 1 - received.length, joins: joins.all.length, leaves: leaves.all.length, last,
  }))));
  t.diagnostic(JSON.stringify({ faults: meddler.counts, seen }));
  for (const [index, { wrong, received, isInOrder, lost, joins, leaves, last }] of seen.entries()) {
    assert.deepEqual(wrong, []);
    assert.ok(isInOrder, 'each once, in order');
    assert.ok(received >= DELIVERED, `${received} arrived`);
    assert.equal(joins, leaves + 1);
    // What is sent to who has left goes to nobody: it is the sender who saw that.
    assert.ok(lost === 0 || seen[1 - index].leaves > 0, `${lost} are missing, and nobody left for who sent them`);
    assert.deepEqual(last, Array.from({ length: AFTERWARDS }, (_, number) => number));
  }
  for (const [fault, count] of Object.entries(meddler.counts)) assert.ok(count > 0, `${fault} never happened`);
});

/** In a page: keeps the numbers that come, and what is not as the other sent it. */
function listen(own) {
  window.chat = beaker.peersockets.join('chat');
  window.ending = beaker.peersockets.join('afterwards');
  window.received = [];
  window.wrong = [];
  window.last = [];
  window.arrived = () => {};
  window.reached = async (count) => {
    while (received.length < count) await new Promise((resolve) => { window.arrived = resolve; });
  };
  /** A message: who sends it, its number, and as many bytes of it as that makes. */
  window.messageOf = (sender, number) => {
    const message = new Uint32Array(2 + (number * 7) % 300).fill(number * 2_654_435_761);
    message.set([sender, number]);
    return message;
  };
  chat.addEventListener('message', ({ message }) => {
    const words = new Uint32Array(message.buffer.slice(message.byteOffset, message.byteOffset + message.byteLength));
    const expected = messageOf(3 - own, words[1]);
    if (words.length !== expected.length || words.some((word, index) => word !== expected[index])) wrong.push([...words]);
    received.push(words[1]);
    arrived();
  });
  window.afterwards = new Promise((resolve) => {
    ending.addEventListener('message', ({ message }) => {
      last.push(Number(text(message)));
      if (last.length === 100) resolve();
    });
  });
  window.own = own;
}

/** In a page: sends batches of messages until `talking` is cleared. */
function talk({ batch, pause }) {
  let number = 0;
  window.talking = setInterval(() => {
    for (const end = number + batch; number < end; number += 1) chat.send(1, messageOf(own, number));
  }, pause);
  /** Once the peer is here. */
  window.sendAfterwards = async (count) => {
    while (peerEvents.peers.length === 0) await joins.next();
    for (let number = 0; number < count; number += 1) ending.send(1, String(number));
  };
}
