// What happens to a page: its relay dies and comes back, it is left, kept and returned to.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { converse, meet, newDrive, nextText, openPerson, personUrl, startBrowser, untilDirect } from './support/browser.mjs';
import { frame, kind } from './support/relay-frames.mjs';
import { startRecorder } from './support/recorder.mjs';
import { startRelay } from './support/relay.mjs';

/** What a browser and the package say of a relay that is not there. */
const RELAY_IS_GONE = [/WebSocket connection to/, /Failed to load resource/, /\[beaker-peersockets\] no-relay/];
/** What the clock of a page says where no time passes: a day, because it has to be set forward to be stopped. In milliseconds. */
const STANDSTILL = 86_400_000;
/** Longest time in which who says goodbye leaves, in milliseconds. Silence is noticed after 5 s. */
const LEAVE_WITHIN = 3_000;
/** A member that no room of a test has. */
const NOBODY = 250;

// Playwright switches the back-forward cache off, unless it is told not to.
const browser = await startBrowser({ ignoreDefaultArgs: ['--disable-back-forward-cache'] });
const relay = await startRelay();

test('a relay that dies and comes back on its port: leave, then join with the same id; offline, then ready', async (t) => {
  const mortal = await startRelay();
  const people = await converse(t, { browser, relay: mortal, direct: false });
  for (const person of people) {
    person.expect(...RELAY_IS_GONE);
    await person.evaluate(() => { window.states = new Arrivals(beaker.peersockets, 'state') });
  }
  await mortal.kill();
  for (const person of people) {
    assert.equal(await person.evaluate(async () => (await states.next()).state), 'offline');
    assert.equal(await person.evaluate(async () => (await leaves.next()).peerId), 1);
  }
  await mortal.start();
  for (const person of people) {
    assert.equal(await person.evaluate(async () => (await joins.next()).peerId), 1);
    assert.deepEqual(await person.evaluate(() => states.all.map(({ state }) => state)), ['offline', 'ready']);
    assert.equal(await person.evaluate(() => beaker.peersockets.state), 'ready');
  }
  await people[0].evaluate(() => chat.send(1, 'back again'));
  assert.equal(await nextText(people[1]), 'back again');
});

test('a page that opens while its relay is down sees its peers when it is up', async (t) => {
  const mortal = await startRelay();
  const url = personUrl(relay, { drive: newDrive(), relays: [mortal] });
  await mortal.kill();
  const people = [await openPerson(t, browser), await openPerson(t, browser)];
  for (const person of people) {
    person.expect(...RELAY_IS_GONE);
    await person.page.goto(url);
    await person.evaluate(async () => {
      const states = new Arrivals(beaker.peersockets, 'state');
      while (beaker.peersockets.state !== 'offline') await states.next();
    });
  }
  await mortal.start();
  for (const person of people) assert.equal(await person.evaluate(async () => (await joins.next()).peerId), 1);
});

describe('a page whose relay was away connects at once', { concurrency: true }, () => {
  const returns = {
    'when it is back online': async ({ context }) => {
      await context.setOffline(true);
      await context.setOffline(false);
    },
    'when it is seen again': (person) => person.evaluate(() => document.dispatchEvent(new Event('visibilitychange'))),
    'when it is shown again': (person) => person.evaluate(() => window.dispatchEvent(new PageTransitionEvent('pageshow'))),
  };
  for (const [name, comeBack] of Object.entries(returns)) {
    test(name, async (t) => {
      const mortal = await startRelay();
      const person = await openOutOfTime(t, personUrl(mortal, { drive: newDrive() }));
      person.expect(...RELAY_IS_GONE);
      await person.evaluate(async () => {
        window.states = new Arrivals(beaker.peersockets, 'state');
        while (beaker.peersockets.state !== 'ready') await states.next();
      });
      await mortal.kill();
      await person.evaluate(() => states.until('offline'));
      assert.equal(await person.evaluate(() => beaker.peersockets.stats().relays[0].state), 'waiting');

      await mortal.start();
      await comeBack(person);
      await person.evaluate(() => states.until('ready'));
      assert.equal(await person.evaluate(() => Date.now()), STANDSTILL);
    });
  }
});

test('a page that is navigated away from says goodbye: its peer needs neither the relay nor time to notice', async (t) => {
  // Only the goodbye is left to tell of it: the relay's word is held back, and silence would take time.
  const isAboutLeaving = ({ from, kind: is }) => from === 'relay' && (is === kind.left || is === kind.hungUp);
  const recorder = await startRecorder(relay, {
    change: (bytes, from) => (isAboutLeaving({ from, kind: bytes[0] }) ? frame(kind.left, NOBODY) : bytes),
  });
  const url = personUrl(relay, { drive: newDrive(), relays: [recorder], direct: false });
  const [stays, goes] = [await openOutOfTime(t, url), await openPerson(t, browser, url)];
  for (const person of [stays, goes]) await person.evaluate(() => joins.next());

  await goes.page.goto(`${relay.url}/elsewhere.html`);
  assert.equal(await stays.evaluate(async () => (await leaves.next()).peerId), 1);
  await recorder.frames.first(isAboutLeaving);
  assert.equal(await stays.evaluate(() => beaker.peersockets.state), 'ready');
  assert.equal(await stays.evaluate(() => Date.now()), STANDSTILL);
});

test('a page that is reloaded is somebody new', async (t) => {
  const [stays, reloads] = await meet(t, { browser, relay });
  await reloads.page.reload();
  assert.equal(await stays.evaluate(async () => (await leaves.next()).peerId), 1);
  assert.equal(await stays.evaluate(async () => (await joins.next()).peerId), 2);
});

for (const direct of [false, true]) {
  test(`back from the back-forward cache it works again, with the same ids, ${direct ? 'and directly' : 'through the relay'}`, async (t) => {
    const people = await converse(t, { browser, relay, direct });
    if (direct) await Promise.all(people.map(untilDirect));
    await leaveAndReturn(people);
    if (direct) await Promise.all(people.map(untilDirect));
  });
}

test('a page that is navigated away from when only the direct connection is left says goodbye on that', async (t) => {
  const mortal = await startRelay();
  const people = await converse(t, { browser, relay: mortal });
  await Promise.all(people.map(untilDirect));
  for (const person of people) person.expect(...RELAY_IS_GONE);
  await mortal.kill();
  const [stays, goes] = people;
  const start = performance.now();
  await goes.page.goto(`${relay.url}/elsewhere.html`);
  assert.equal(await stays.evaluate(async () => (await leaves.next()).peerId), 1);
  const took = performance.now() - start;
  assert.ok(took < LEAVE_WITHIN, `leave took ${Math.round(took)} ms`);
});

/** One of two goes elsewhere and comes back. */
async function leaveAndReturn([stays, returns]) {
  for (const person of [stays, returns]) await person.evaluate(() => { window.lines = story(beaker.peersockets, peerEvents, chat) });
  await returns.evaluate(() => {
    window.addEventListener('pageshow', ({ persisted }) => { window.wasPersisted = persisted });
  });

  await Promise.all([returns.page.goto(`${relay.url}/elsewhere.html`), stays.evaluate(() => leaves.next())]);
  await returns.page.goBack({ waitUntil: 'commit' });
  assert.equal(await returns.evaluate(() => window.wasPersisted), true, 'the page was not in the back-forward cache, so this shows nothing');
  for (const person of [stays, returns]) assert.equal(await person.evaluate(async () => (await joins.next()).peerId), 1);
  await stays.evaluate(() => chat.send(1, 'welcome back'));
  assert.equal(await nextText(returns), 'welcome back');
  await returns.evaluate(() => chat.send(1, 'here I am'));
  assert.equal(await nextText(stays), 'here I am');
  assert.deepEqual(await stays.evaluate(() => lines), ['leave 1', 'join 1', 'message here I am']);
  assert.deepEqual(await returns.evaluate(() => lines), ['leave 1', 'state offline', 'state ready', 'join 1', 'message welcome back']);
}

/** Somebody in whose page no time passes: no timer of it ever fires. */
async function openOutOfTime(t, url) {
  const person = await openPerson(t, browser);
  await person.page.clock.install({ time: 0 });
  await person.page.clock.pauseAt(STANDSTILL);
  await person.page.goto(url);
  return person;
}
