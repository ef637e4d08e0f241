// How messages to a peer travel, and how long there and back takes, as pages are told.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { meet, startBrowser, untilDirect } from './support/browser.mjs';
import { startRelay } from './support/relay.mjs';

const relay = await startRelay();
const browser = await startBrowser();

test('a page is told the path to a peer behind its join, at each change, and not after its leave', async (t) => {
  const [ana, ben] = await meet(t, { browser, relay, direct: false });
  for (const person of [ana, ben]) person.expect(/ERR_CONNECTION|WebSocket connection/);
  // Nothing was measured yet when it joined.
  assert.deepEqual(await nextPath(ana), { isTrusted: false, peerId: 1, path: 'relay', roundTripTime: undefined });
  await relay.kill();
  assert.deepEqual(await nextPath(ana), { isTrusted: false, peerId: 1, path: 'none', roundTripTime: undefined });
  await relay.start();
  const back = await nextPath(ana);
  assert.deepEqual([back.peerId, back.path], [1, 'relay']);
  assert.deepEqual(await replay(ana), ['join 1', 'path 1 relay'], 'whoever watches from now on');

  await ben.page.close();
  await ana.evaluate(() => leaves.next());
  assert.deepEqual(await replay(ana), []);
  const seen = await ana.evaluate(() => paths.all.map(({ path }) => path));
  assert.deepEqual(seen.slice(0, 3), ['relay', 'none', 'relay']);
  assert.ok(seen.slice(3).every((path) => path === 'none'), `${seen}`);
});

test('a page is told of the direct path behind the relayed one, and keeps it when the relay is gone', async (t) => {
  const own = await startRelay();
  const people = await meet(t, { browser, relay: own });
  for (const person of people) {
    person.expect(/ERR_CONNECTION|WebSocket connection|no-relay/);
    const { path, roundTripTime } = await person.evaluate(async () => {
      for (;;) {
        const told = await paths.next();
        if (told.path === 'direct') return told;
      }
    });
    assert.deepEqual([path, typeof roundTripTime], ['direct', 'number']);
    assert.deepEqual(await replay(person), ['join 1', 'path 1 direct']);
  }
  await own.kill();
  for (const person of people) {
    await person.evaluate(async () => {
      while (beaker.peersockets.stats().relays[0].state !== 'waiting') await new Promise(requestAnimationFrame);
    });
    assert.deepEqual(await replay(person), ['join 1', 'path 1 direct']);
    assert.deepEqual(await person.evaluate(() => paths.all.map(({ path }) => path)), ['relay', 'direct']);
  }
});

for (const [path, direct] of [['relay', false], ['direct', true]]) {
  test(`stats() has the round-trip time to a peer soon after its join, in milliseconds: path ${path}`, async (t) => {
    const people = await meet(t, { browser, relay, direct });
    if (direct) await Promise.all(people.map(untilDirect));
    for (const person of people) {
      const seen = await person.evaluate(async () => {
        const peer = () => beaker.peersockets.stats().peers[0];
        while (peer().roundTripTime === undefined) await new Promise(requestAnimationFrame);
        return { ...peer(), age: performance.now() };
      });
      assert.equal(seen.path, path);
      assert.ok(seen.roundTripTime > 0 && seen.roundTripTime < seen.age, `${seen.roundTripTime} ms`);
    }
  });
}

/** What a new watcher is told at once of who is here. */
function replay(person) {
  return person.evaluate(async () => {
    const lines = [];
    const watcher = beaker.peersockets.watch();
    for (const type of ['join', 'path']) watcher.addEventListener(type, ({ peerId, path }) => lines.push([type, peerId, path].filter(Boolean).join(' ')));
    // What it is told comes in a microtask that is queued already.
    await new Promise((resolve) => setTimeout(resolve));
    watcher.close();
    return lines;
  });
}

/** The own properties of the next `path` event. */
function nextPath(person) {
  return person.evaluate(() => paths.next());
}
