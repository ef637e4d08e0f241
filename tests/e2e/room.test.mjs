// People in one room: who sees whom, and that every message arrives whole and in order.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { meet, newDrive, nextDigest, openPerson, peersSeen, personUrl, sendRandom, startBrowser, untilDirect } from './support/browser.mjs';
import { startRelay } from './support/relay.mjs';

const relay = await startRelay();
const otherRelay = await startRelay();
const browser = await startBrowser();

test('three pages in one room see each other, each exactly once', async (t) => {
  const people = await meet(t, { browser, relay }, 3);
  await exchangeGreetings(people);
  for (const person of people) assert.deepEqual(await peersSeen(person), { joined: [1, 2], left: [] });
});

test('pages of another drive are not seen', async (t) => {
  const rooms = await Promise.all([meet(t, { browser, relay }), meet(t, { browser, relay })]);
  await Promise.all(rooms.map(exchangeGreetings));
  for (const person of rooms.flat()) assert.deepEqual(await peersSeen(person), { joined: [1], left: [] });
});

for (const [way, direct] of [['through the relay', false], ['directly', true]]) {
  for (const size of [0, 1, 65_536, 1_048_576, 8_388_607]) {
    test(`a message of ${size.toLocaleString('en')} bytes arrives intact at both others, ${way}`, async (t) => {
      const [sender, ...receivers] = await meet(t, { browser, relay, direct }, 3);
      if (direct) await untilDirect(sender);
      for (const receiver of receivers) await receiver.evaluate(() => { window.messages = new Arrivals(beaker.peersockets.join('large'), 'message') });
      const sent = await sendRandom(sender, 'large', size);
      for (const receiver of receivers) assert.deepEqual(await nextDigest(receiver), sent);
    });
  }

  test(`10,000 messages one way arrive complete and in order, ${way}`, async (t) => {
    const count = 10_000;
    const [sender, receiver] = await meet(t, { browser, relay, direct });
    if (direct) await untilDirect(sender);
    await receiver.evaluate(() => { window.messages = new Arrivals(beaker.peersockets.join('many'), 'message') });
    await sender.evaluate((count) => {
      const many = beaker.peersockets.join('many');
      for (let number = 0; number < count; number += 1) many.send(1, String(number));
    }, count);
    const misplaced = await receiver.evaluate(async (count) => {
      const received = await messages.take(count);
      return received.map(({ message }, index) => [text(message), String(index)]).filter(([got, due]) => got !== due);
    }, count);
    assert.deepEqual(misplaced, []);
  });
}

test('with relays [A, B], [A] and [B] the first sees both others, once each', async (t) => {
  const drive = newDrive();
  const open = (relays) => openPerson(t, browser, personUrl(relays[0], { drive, relays }));
  const both = await open([relay, otherRelay]);
  const onlyA = await open([relay]);
  const onlyB = await open([otherRelay]);
  await both.evaluate(() => joins.take(2));
  for (const person of [onlyA, onlyB]) await person.evaluate(() => joins.take(1));

  await exchangeGreetings([both, onlyA]);
  await exchangeGreetings([both, onlyB]);
  assert.deepEqual(await peersSeen(both), { joined: [1, 2], left: [] });
  for (const person of [onlyA, onlyB]) assert.deepEqual(await peersSeen(person), { joined: [1], left: [] });
});

test('two pages with the same two relays see each other once', async (t) => {
  const url = personUrl(relay, { drive: newDrive(), relays: [relay, otherRelay] });
  const people = await Promise.all([openPerson(t, browser, url), openPerson(t, browser, url)]);
  for (const person of people) {
    await person.evaluate(async () => {
      while (!beaker.peersockets.stats().relays.every(({ members }) => members === 1)) await new Promise(requestAnimationFrame);
      await joins.take(1);
    });
  }
  await exchangeGreetings(people);
  for (const person of people) assert.deepEqual(await peersSeen(person), { joined: [1], left: [] });
});

/** Each greets all it sees and waits until each of the others greeted it: whatever else was on its way has arrived by then. */
async function exchangeGreetings(people) {
  for (const person of people) {
    await person.evaluate(() => { window.greetings = new Arrivals(beaker.peersockets.join('greetings'), 'message') });
  }
  for (const person of people) {
    await person.evaluate(() => {
      const topic = beaker.peersockets.join('greetings');
      for (const peerId of peerEvents.peers) topic.send(peerId, 'hello');
    });
  }
  for (const person of people) await person.evaluate((others) => greetings.take(others), people.length - 1);
}
