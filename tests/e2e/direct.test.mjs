// Direct connections in real pages: they come by themselves, go for every reason there is, and no message is lost.

import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { after, test } from 'node:test';
import { setTimeout as pass } from 'node:timers/promises';
import { newDrive, peersSeen, startBrowser } from './support/browser.mjs';
import { converse, meetDirect, openDirect, until, untilTrue, visit } from './support/direct.mjs';
import { startRecorder } from './support/recorder.mjs';
import { startRelay } from './support/relay.mjs';

/** Messages that each of two sends the other, as many on each kind of path in each cycle. */
const COUNT = 20_000;
const CYCLES = 50;
const SHARE = COUNT / CYCLES / 2;
/** One in so many messages has so many bytes, the others as few as their numbers. */
const LONG = { every: 50, bytes: 20_000 };
/** The fewest bytes that both together send on each kind of path in a cycle: less than that may be no message. */
const FEWEST = LONG.bytes;
/** How long the relay passes nothing on, in milliseconds. */
const HELD = 2_000;
/** How long two talk without a relay, in milliseconds: longer than it takes to give a link up, and to ask again whether the other still is there. */
const ALONE = 25_000;

/** What is sent at a stretch: so many messages of so many bytes, while no more than so much waits. */
const POURED = { count: 400, bytes: 50_000, full: 1_048_576 };
/** Between these the most bytes lie that wait in the buffer of a data channel then: more than 256 KiB and a message slow Chromium down. */
const BUFFER = { least: 65_536, most: 262_144 + 16_384 };

const browser = await startBrowser();
const pages = await startRelay();

test('20,000 messages each way arrive once and in order though the path changes 100 times, and nobody leaves', { timeout: 900_000 }, async (t) => {
  const relay = await startRelay();
  const recorder = await startRecorder(relay);
  const people = await meetDirect(t, browser, { pages, relay: recorder, drive: newDrive() });
  await converse(people, LONG);
  await both(people, (person) => until(person, 'direct'));
  const counted = {};
  for (let cycle = 0; cycle < CYCLES; cycle += 1) {
    const cause = causeOf(cycle);
    counted[cause] = (counted[cause] ?? 0) + 1;
    const before = await bytes(people, recorder);
    await allow(people, SHARE);
    const goOn = await ends[cause]({ people, one: people[cycle % 2], relay, recorder });
    const between = await bytes(people, recorder);
    await allow(people, SHARE);
    await goOn?.();
    await both(people, (person) => until(person, 'direct'));
    const after = await bytes(people, recorder);
    const [direct, relayed] = [between.direct - before.direct, after.relayed - between.relayed];
    assert.ok(direct >= FEWEST, `cycle ${cycle}, ${cause}: ${direct} bytes went directly`);
    assert.ok(relayed >= FEWEST, `cycle ${cycle}, ${cause}: ${relayed} bytes went through the relay`);
  }
  t.diagnostic(JSON.stringify(counted));
  await both(people, (person) => person.evaluate((count) => reached(count), COUNT));
  for (const person of people) {
    assert.equal(await person.evaluate(() => numbers.findIndex((number, index) => number !== index)), -1, 'each once, in order');
    assert.equal(await person.evaluate(() => numbers.length), COUNT);
    assert.deepEqual(await peersSeen(person), { joined: [1], left: [] });
    const changes = await person.evaluate(() => paths.all.map(({ path }) => path));
    for (const path of ['direct', 'relay']) assert.ok(changes.filter((to) => to === path).length >= CYCLES, `paths ${changes}`);
  }
});

for (const [words, end] of [['is stopped', 'stop'], ['is killed', 'kill']]) {
  test(`when the relay ${words} after people have connected directly they talk on, and meet whoever comes when it is back`, { timeout: 300_000 }, async (t) => {
    const relay = await startRelay();
    const options = { pages, relay, drive: newDrive() };
    const people = await meetDirect(t, browser, options);
    await converse(people, LONG);
    await both(people, (person) => until(person, 'direct'));
    const made = await both(people, (person) => person.evaluate(() => connections.length));
    await relay[end]();
    await both(people, (person) => untilTrue(person, () => sockets.stats().relays[0].state !== 'joined'));
    let count = 0;
    for (const enough = Date.now() + ALONE; Date.now() < enough;) {
      count += SHARE;
      await allow(people, SHARE);
      await both(people, (person) => person.evaluate((count) => reached(count), count));
    }
    for (const [index, person] of people.entries()) {
      assert.equal(await person.evaluate(() => numbers.findIndex((number, index) => number !== index)), -1, 'each once, in order');
      assert.equal(await person.evaluate(() => sockets.stats().peers[0].path), 'direct');
      assert.deepEqual(await peersSeen(person), { joined: [1], left: [] });
      assert.equal(await person.evaluate(() => connections.length), made[index], 'it is the same connection');
    }
    await relay.start();
    const third = await openDirect(t, browser, options);
    const all = [...people, third];
    await both(all, (person) => until(person, 'direct', [1, 2]));
    await both(all, (person) => person.evaluate(() => { for (const peerId of peerEvents.peers) topic.send(peerId, 'to all'); }));
    for (const person of all) {
      await untilTrue(person, () => messages.all.filter(({ message }) => text(message) === 'to all').length === 2);
      assert.deepEqual(await person.evaluate(() => leaves.all), []);
    }
  });
}

test('a STUN server that never answers delays neither the first message nor the direct connection', async (t) => {
  const server = await startSilentServer();
  const options = { drive: newDrive(), relays: [pages.relayUrl], iceServers: [{ urls: `stun:${server.address}` }] };
  const people = [await visit(t, browser, { pages }), await visit(t, browser, { pages })];
  for (const [index, person] of people.entries()) {
    await person.evaluate(({ options, words }) => {
      window.sockets = new PeerSockets(options);
      window.topic = sockets.join('chat');
      sockets.watch().addEventListener('join', ({ peerId }) => topic.send(peerId, words));
      window.first = new Promise((resolve) => {
        topic.addEventListener('message', ({ message }) => resolve({ words: text(message), path: sockets.stats().peers[0].path }));
      });
    }, { options, words: `of ${index}` });
  }
  for (const [index, words] of ['of 1', 'of 0'].entries()) {
    assert.deepEqual(await people[index].evaluate(() => first), { words, path: 'relay' });
    await until(people[index], 'direct');
  }
  await server.asked;
});

test('a page that sends much keeps its channel busy and its buffer small, and all arrives', async (t) => {
  const people = await meetDirect(t, browser, { pages, relay: pages, drive: newDrive() });
  await both(people, (person) => until(person, 'direct'));
  const [one, other] = people;
  await one.evaluate(async ({ count, bytes, full }) => {
    for (let number = 0; number < count; number += 1) {
      topic.send(1, String(number).padEnd(bytes));
      if (topic.bufferedAmount(1) > full) await new Promise((resolve) => topic.addEventListener('drain', resolve, { once: true }));
    }
  }, POURED);
  await other.evaluate((count) => messages.take(count), POURED.count);
  const numbers = await other.evaluate(() => messages.all.map(({ message }) => Number(text(message))));
  assert.ok(numbers.every((number, index) => number === index), 'each once, in order');
  const { sent, most } = await one.evaluate(() => ({ sent: connections.at(-1).sent, most: connections.at(-1).most }));
  t.diagnostic(JSON.stringify({ sent, most }));
  assert.ok(sent > POURED.count * POURED.bytes, 'it went directly');
  assert.ok(most >= BUFFER.least && most <= BUFFER.most, `up to ${most} bytes waited`);
});

/** Why the direct connection ends in a cycle: each third for one of three reasons, but nine times somebody is not told of what ended. */
function causeOf(cycle) {
  if (cycle % 16 === 4) return 'frozen';
  if (cycle % 16 === 8) return 'dropped';
  if (cycle % 16 === 15) return 'held';
  return ['channel', 'connection', 'relay'][cycle % 3];
}

/**
 * How the direct connection ends, when half of what may go directly has been sent, until there is another path or none. What is returned is
 * done when as much more may go.
 */
const ends = {
  /** The data channel is closed. */
  async channel({ people, one }) {
    await midway(one, () => connections.at(-1).channel.close());
    await both(people, (person) => until(person, 'relay'));
  },
  /** The peer connection is closed. */
  async connection({ people, one }) {
    await midway(one, () => connections.at(-1).close());
    await both(people, (person) => until(person, 'relay'));
  },
  /** The peer connection is closed, and the relay killed. */
  async relay({ people, one, relay }) {
    await midway(one, () => connections.at(-1).close());
    await relay.kill();
    await both(people, (person) => until(person, 'none'));
    // Who sends has long sent all when it is back; who is waited for longer than that leaves.
    return () => Promise.all([relay.start(), both(people, hasSentAll)]);
  },
  /** Nothing leaves the data channel any more, and neither side is told. */
  async dropped({ people }) {
    await both(people, (person) => midway(person, () => { connections.at(-1).channel.send = () => {}; }));
    await both(people, (person) => until(person, 'relay'));
  },
  /** The pages' sockets carry nothing any more, which they have to find out; then the peer connection is closed. */
  async frozen({ people, one, recorder }) {
    const all = recorder.connections.length + people.length;
    recorder.freeze();
    while (recorder.connections.length < all) await once(recorder.server, 'connection');
    await both(people, (person) => untilTrue(person, () => sockets.stats().relays[0].state === 'joined'));
    await midway(one, () => connections.at(-1).close());
    await both(people, (person) => until(person, 'relay'));
  },
  /** The peer connection is closed, and the relay passes nothing on for a while. */
  async held({ people, one, recorder }) {
    recorder.hold();
    await midway(one, () => connections.at(-1).close());
    await both(people, (person) => until(person, 'relay'));
    return async () => {
      await both(people, hasSentAll);
      await pass(HELD);
      recorder.release();
    };
  },
};

/** A server that says nothing; `asked` comes when it was asked. */
async function startSilentServer() {
  const socket = createSocket('udp4').bind(0, '127.0.0.1');
  after(() => socket.close());
  const asked = once(socket, 'message');
  await once(socket, 'listening');
  return { address: `127.0.0.1:${socket.address().port}`, asked };
}

/** Does something in a page when half of what it may send directly has been sent. */
async function midway(person, act) {
  await untilTrue(person, (rest) => sent >= allowed - rest, SHARE / 2);
  await person.evaluate(act);
}

function hasSentAll(person) {
  return untilTrue(person, () => sent === allowed);
}

function allow(people, count) {
  return both(people, (person) => person.evaluate((count) => { window.allowed += count; }, count));
}

/** What pages sent so far on data channels, and what they sent to the relay. */
async function bytes(people, recorder) {
  const direct = await both(people, (person) => person.evaluate(() => connections.reduce((sum, connection) => sum + connection.sent, 0)));
  const relayed = recorder.connections.flatMap(({ messages }) => messages).filter(({ from }) => from === 'page');
  return { direct: sum(direct), relayed: sum(relayed.map(({ bytes }) => bytes.length)) };
}

function sum(numbers) {
  return numbers.reduce((all, number) => all + number, 0);
}

function both(people, act) {
  return Promise.all(people.map(act));
}
