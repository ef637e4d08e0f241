// What a page makes of its network's going and coming.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as pass } from 'node:timers/promises';
import { meet, newDrive, nextText, openPerson, personUrl, startBrowser } from './support/browser.mjs';
import { startRecorder } from './support/recorder.mjs';
import { startRelay } from './support/relay.mjs';

/** A gap in which peers give each other up, in milliseconds. */
const LONG_GAP = 20_000;
/** Longest time from the network's return to the peers', in milliseconds: much less than any pause before a retry after such a gap. */
const BACK_WITHIN = 3_000;

const browser = await startBrowser();
const relay = await startRelay();

describe('a page whose network goes', { concurrency: true }, () => {
  test('for 20 s says offline at once, sees its peers leave, and has them back at once with the same ids', async (t) => {
    const [away, stays] = await meetAndListen(t);
    const gap = pass(LONG_GAP);
    await loseNetwork(away);
    for (const person of [away, stays]) assert.equal(await person.evaluate(async () => (await leaves.next()).peerId), 1);
    await gap;

    const start = performance.now();
    await away.context.setOffline(false);
    for (const person of [away, stays]) assert.equal(await person.evaluate(async () => (await joins.next()).peerId), 1);
    const took = performance.now() - start;
    assert.ok(took < BACK_WITHIN, `it took ${Math.round(took)} ms`);

    await away.evaluate(() => chat.send(1, 'here I am'));
    assert.equal(await nextText(stays), 'here I am');
    await stays.evaluate(() => chat.send(1, 'welcome back'));
    assert.equal(await nextText(away), 'welcome back');
    assert.deepEqual(await told(away), ['state offline', 'leave 1', 'state ready', 'join 1', 'message welcome back']);
    assert.deepEqual(await told(stays), ['leave 1', 'join 1', 'message here I am']);
  });

  test('for a moment says so and loses nothing, not even what is sent meanwhile', async (t) => {
    const [away, stays] = await meetAndListen(t);
    await loseNetwork(away);
    await away.evaluate(() => chat.send(1, 'from the gap'));
    await stays.evaluate(() => chat.send(1, 'into the gap'));
    await away.context.setOffline(false);
    await away.evaluate(() => states.until('ready'));
    assert.equal(await nextText(away), 'into the gap');
    assert.equal(await nextText(stays), 'from the gap');
    assert.deepEqual((await told(away)).sort(), ['message into the gap', 'state offline', 'state ready']);
    assert.deepEqual(await told(stays), ['message from the gap']);
  });

  test('and comes back as another one finds out that its socket is dead, and goes on with its peers on a new one', async (t) => {
    const recorder = await startRecorder(relay);
    const drive = newDrive();
    const stays = await openPerson(t, browser, personUrl(relay, { drive, direct: false }));
    const away = await openPerson(t, browser, personUrl(relay, { drive, relays: [recorder], direct: false }));
    for (const person of [stays, away]) await person.evaluate(() => joins.next());
    await listen([stays, away]);
    await loseNetwork(away);
    recorder.freeze();
    await away.evaluate(() => chat.send(1, 'from no network'));
    await stays.evaluate(() => chat.send(1, 'to no network'));
    await away.context.setOffline(false);
    assert.equal(await nextText(stays), 'from no network');
    assert.equal(await nextText(away), 'to no network');
    await away.evaluate(() => chat.send(1, 'from another network'));
    assert.equal(await nextText(stays), 'from another network');
    assert.deepEqual(await told(away), ['state offline', 'state ready', 'message to no network']);
    assert.equal(recorder.connections.length, 2);
  });

  test('while it has not reached any relay is connected when the network is back', async (t) => {
    const person = await openPerson(t, browser, `${relay.url}/package.html`);
    person.expect(/ERR_INTERNET_DISCONNECTED/);
    await person.evaluate(() => ready());
    await person.context.setOffline(true);
    await person.evaluate(async (relayUrl) => {
      window.sockets = new PeerSockets({ relays: relayUrl });
      window.states = new Arrivals(sockets, 'state');
      sockets.addEventListener('error', () => {});
      await states.until('offline');
    }, relay.relayUrl);
    await person.context.setOffline(false);
    await person.evaluate(() => states.until('ready'));
  });
});

/** Two people who have met, each of whom keeps what it is told from now on as `window.lines`. */
async function meetAndListen(t) {
  const people = await meet(t, { browser, relay, direct: false });
  await listen(people);
  return people;
}

async function listen(people) {
  for (const person of people) {
    await person.evaluate(() => {
      window.chat = beaker.peersockets.join('chat');
      window.messages = new Arrivals(chat, 'message');
      window.states = new Arrivals(beaker.peersockets, 'state');
      window.lines = story(beaker.peersockets, peerEvents, chat);
    });
  }
}

function told(person) {
  return person.evaluate(() => lines);
}

/** Takes a page's network away: the browser holds back what its sockets carry, and says so. Resolves when the package has said it too. */
async function loseNetwork(person) {
  await person.context.setOffline(true);
  await person.evaluate(() => states.until('offline'));
  assert.equal(await person.evaluate(() => beaker.peersockets.state), 'offline');
}
