// A relay that its operator stops and starts again: pages are told how long it takes, and nobody notices.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as pass } from 'node:timers/promises';
import { newDrive, nextText, openPerson, peersSeen, personUrl, startBrowser } from './support/browser.mjs';
import { startRelay } from './support/relay.mjs';

/** How long the relay is away, in seconds. */
const GAP = 15;

const CHROMIUM = [/^WebSocket connection to .* failed/, /^Failed to load resource: net::ERR_/];
const browser = await startBrowser();
const pages = await startRelay();

test('nobody leaves while a relay is away for 15 s as it said, and what was sent meanwhile arrives', async (t) => {
  const relay = await startRelay({ options: ['--back-in', String(GAP)] });
  const url = personUrl(pages, { drive: newDrive(), relays: [relay], direct: false });
  const people = [];
  for (let number = 0; number < 2; number += 1) {
    const person = await openPerson(t, browser, url);
    person.expect(...CHROMIUM);
    people.push(person);
  }
  for (const person of people) await person.evaluate(() => joins.next());
  for (const person of people) {
    await person.evaluate(() => {
      window.chat = beaker.peersockets.join('chat');
      window.messages = new Arrivals(chat, 'message');
    });
  }
  await sayAndHear(people, 'before');

  await relay.stop();
  const back = pass(GAP * 1_000);
  for (const person of people) await person.evaluate(() => chat.send(1, 'meanwhile'));
  await back;
  await relay.start();
  for (const person of people) assert.equal(await nextText(person), 'meanwhile');

  await sayAndHear(people, 'after');
  for (const person of people) assert.deepEqual(await peersSeen(person), { joined: [1], left: [] });
});

async function sayAndHear(people, words) {
  for (const person of people) await person.evaluate((words) => chat.send(1, words), words);
  for (const person of people) assert.equal(await nextText(person), words);
}
