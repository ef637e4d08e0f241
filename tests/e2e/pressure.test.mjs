// Sending more than a connection carries: what a page sees of it, and how it keeps pace.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { converse, newDrive, openPerson, personUrl, startBrowser, untilDirect } from './support/browser.mjs';
import { startRecorder } from './support/recorder.mjs';
import { startRelay } from './support/relay.mjs';

const MIB = 1024 * 1024;
const PIECE = 65_536;
/** What a message counts for beside its bytes. */
const WEIGHT = 32;

const browser = await startBrowser();
const relay = await startRelay();
const stage = { browser, relay };

for (const direct of [false, true]) {
  test(`whoever goes on at each drain has never much more than 1 MiB waiting, and everything arrives, ${direct ? 'directly' : 'through the relay'}`, async (t) => {
    const people = await converse(t, { ...stage, direct });
    if (direct) await Promise.all(people.map(untilDirect));
    await keepPace(people);
  });
}

test('to a peer whose packets are dropped nothing more is taken than it may have waiting, and what was taken arrives', async (t) => {
  const { sender, receiver, recorder } = await meetBeyondRecorder(t);
  recorder.hold();
  const { returned, waiting } = await sender.evaluate(async ({ piece, count }) => {
    const errors = new Arrivals(chat, 'error');
    for (let number = 0; number < count; number += 1) chat.send(1, Uint32Array.from({ length: piece / 4 }, () => number));
    await new Promise((resolve) => setTimeout(resolve));
    return {
      waiting: [chat.bufferedAmount(1), chat.bufferedAmount('1'), chat.bufferedAmount()],
      returned: errors.all.map(({ code, peerId, message }) => [code, peerId, new Uint32Array(message.buffer)[0], message.length]),
    };
  }, { piece: PIECE, count: 300 });
  const taken = 16 * MIB / PIECE;
  assert.deepEqual(waiting, Array(3).fill(taken * (PIECE + WEIGHT)));
  assert.deepEqual(returned, Array.from({ length: 300 - taken }, (_, index) => ['queue-full', 1, taken + index, PIECE]));
  assert.equal(await sender.evaluate(() => drains.all.length), 0);
  recorder.release();
  assert.equal(await sender.evaluate(async () => (await drains.next()).peerId), 1);
  const arrived = await receiver.evaluate(async (count) => (await messages.take(count)).map(({ message }) => new Uint32Array(message.buffer)[0]), taken);
  assert.deepEqual(arrived, Array.from({ length: taken }, (_, number) => number));
  assert.deepEqual(await sender.evaluate(() => leaves.all.length), 0);
});

test('nobody waits for ever for a peer that has left, or on an object that is closed', async (t) => {
  const { sender, receiver, recorder } = await meetBeyondRecorder(t);
  recorder.hold();
  const before = await sender.evaluate((bytes) => {
    const closed = beaker.peersockets.join('chat');
    closed.send(1, new Uint8Array(bytes));
    closed.close();
    return [closed.bufferedAmount(1), chat.bufferedAmount(1), chat.bufferedAmount(2), chat.bufferedAmount('nobody')];
  }, 2 * MIB);
  assert.deepEqual(before, [0, 2 * MIB + WEIGHT, 0, 0]);
  await receiver.page.close();
  assert.equal(await sender.evaluate(async () => (await drains.next()).peerId), 1);
  assert.deepEqual(await sender.evaluate(() => [leaves.all.map(({ peerId }) => peerId), chat.bufferedAmount(1), chat.bufferedAmount()]), [[1], 0, 0]);
});

/** One sends the other 40 MiB, and goes on at each drain. */
async function keepPace([sender, receiver]) {
  const count = 40 * MIB / PIECE;
  const { most, drains } = await sender.evaluate(async ({ count, piece, high }) => {
    const drained = new Arrivals(chat, 'drain');
    let most = 0;
    for (let number = 0; number < count; number += 1) {
      if (chat.bufferedAmount(1) > high && (await drained.next()).peerId !== 1) throw new Error('nobody else is here');
      chat.send(1, new Uint8Array(piece).fill(number));
      most = Math.max(most, chat.bufferedAmount(1));
    }
    return { most, drains: drained.all.length };
  }, { count, piece: PIECE, high: MIB });
  assert.ok(most > MIB && most <= MIB + PIECE + WEIGHT, `${most} bytes: the message that goes beyond is the last`);
  assert.ok(drains >= count * PIECE / (2 * MIB), `${drains} drains`);
  const arrived = await receiver.evaluate(async (count) => (await messages.take(count)).map(({ message }) => message[0]), count);
  assert.deepEqual(arrived, Array.from({ length: count }, (_, number) => number % 256));
}

/** Two who have met, each with the topic `chat`; all that they say goes through the relay, and for the receiver through a recorder. */
async function meetBeyondRecorder(t) {
  const recorder = await startRecorder(relay);
  const drive = newDrive();
  const sender = await openPerson(t, browser, personUrl(relay, { drive, direct: false }));
  const receiver = await openPerson(t, browser, personUrl(relay, { drive, relays: [recorder], direct: false }));
  for (const person of [sender, receiver]) {
    await person.evaluate(async () => {
      await joins.next();
      window.chat = beaker.peersockets.join('chat');
      window.messages = new Arrivals(chat, 'message');
      window.drains = new Arrivals(chat, 'drain');
    });
  }
  return { sender, receiver, recorder };
}
