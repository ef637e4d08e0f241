// Packets that are lost between two homes, without a word to anybody: what pages sent arrives, and they find back to each other.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as pass } from 'node:timers/promises';
import { until } from '../e2e/support/direct.mjs';
import { startCoturn, STUN } from './support/coturn.mjs';
import { HOME, HOMES, startInternet } from './support/internet.mjs';
import { meet, startRelayIn, untilDirect } from './support/people.mjs';

/** How long the tests may take together, in milliseconds. */
const TIMEOUT = 120_000;
/** How long a short loss takes: less than a peer may be silent before it leaves. */
const SHORT = 3_000;
/** Messages that each sends the other at a time, and the bytes of each. */
const COUNT = 200;
const BYTES = 2_000;

const stage = await startInternet('cone');
await startCoturn(stage.internet);
const relay = await startRelayIn(stage, '--stun', STUN);

test('when packets between two homes are lost, messages go through the relay, and directly again when they are not', { timeout: TIMEOUT }, async (t) => {
  const people = await meetDirect(t);
  const heal = await stage.lose(`ip saddr ${HOMES} ip daddr ${HOMES}`);
  await talk(people);
  await Promise.all(people.map((person) => until(person, 'relay')));
  await talk(people);
  await heal();
  await Promise.all(people.map((person) => until(person, 'direct')));
  await talk(people);
  await expectAll(people, 3 * COUNT);
});

test('when a home loses all packets for a moment, nothing is lost and nobody leaves', { timeout: TIMEOUT }, async (t) => {
  const people = await meetDirect(t);
  const heal = await stage.lose(`ip saddr ${HOME}`, `ip daddr ${HOME}`);
  await say(people);
  await pass(SHORT);
  await heal();
  await hear(people);
  await Promise.all(people.map((person) => until(person, 'direct')));
  await expectAll(people, COUNT);
});

async function meetDirect(t) {
  const people = await meet(t, stage, relay);
  await Promise.all(people.map(untilDirect));
  return people;
}

/** Each sends the other numbered messages. */
function say(people) {
  return Promise.all(people.map((person) => person.evaluate(({ count, bytes }) => {
    window.said ??= 0;
    for (const end = said + count; said < end; said += 1) topic.send(1, String(said).padEnd(bytes));
  }, { count: COUNT, bytes: BYTES })));
}

/** Each has got as many. */
function hear(people) {
  return Promise.all(people.map((person) => person.evaluate((count) => messages.take(count), COUNT)));
}

async function talk(people) {
  await say(people);
  await hear(people);
}

/** Each has got these messages once and in order, and seen the other come and not go. */
async function expectAll(people, count) {
  for (const person of people) {
    const numbers = await person.evaluate(() => messages.all.map(({ message }) => Number(text(message))));
    assert.deepEqual(numbers, Array.from({ length: count }, (_, number) => number));
    assert.deepEqual(await person.evaluate(() => [joins.all.length, leaves.all.length]), [1, 0]);
  }
}
