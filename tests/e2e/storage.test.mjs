// Pages that may not store anything: the package needs no storage, and the demo can do without.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { newDrive, nextText, openPerson, openPersonIn, personUrl, startBrowser, startBrowserWithoutStorage } from './support/browser.mjs';
import { startRelay } from './support/relay.mjs';

const relay = await startRelay();
const demo = await startRelay({ www: fileURLToPath(new URL('../../www', import.meta.url)) });
const browser = await startBrowser();

test('a page whose user blocks all storage works, and so does the demo', async (t) => {
  const drive = newDrive();
  const other = await openPerson(t, browser, personUrl(relay, { drive, relays: [demo] }));
  const blocked = await openPersonIn(t, await startBrowserWithoutStorage(), personUrl(relay, { drive, relays: [demo] }));
  await assertNoStorage(blocked);
  await chatBothWays(other, blocked);

  await blocked.page.goto(`${demo.url}/#drive=${drive}`);
  await assertNoStorage(blocked);
  await blocked.page.locator('.device').nth(1).waitFor();
  await blocked.page.getByLabel('Your nickname').fill('Ana');
  await blocked.page.getByLabel('Your nickname').press('Enter');
  await blocked.page.locator('.event', { hasText: 'You are now called Ana' }).waitFor();
  await blocked.page.getByLabel('Message to everyone here').fill('nothing is kept');
  await blocked.page.getByLabel('Message to everyone here').press('Enter');
  assert.equal(await nextText(other), 'nothing is kept');

  // What a tab is to remember it does all the same: who is not to be shown to peers is not.
  await Promise.all([blocked.page.waitForEvent('load'), blocked.page.getByLabel('Connect directly').uncheck()]);
  await blocked.page.locator('#room-note').getByText('1 through the relay', { exact: true }).waitFor();
  assert.equal(await blocked.page.getByLabel('Connect directly').isChecked(), false);
});

for (const [what, makeFrame] of [
  ['a sandbox', (html) => document.body.append(Object.assign(document.createElement('iframe'), { sandbox: 'allow-scripts', srcdoc: html }))],
  ['a data: URL', (html) => document.body.append(Object.assign(document.createElement('iframe'), { src: `data:text/html,${encodeURIComponent(html)}` }))],
]) {
  test(`a page without an origin works if it names a drive and a relay: ${what}`, async (t) => {
    const drive = newDrive();
    const outer = await openPerson(t, browser, personUrl(relay, { drive }));
    await outer.evaluate(makeFrame, `<!doctype html>
      <meta name="hyperdrive" content="${drive}"><meta name="peersockets-relay" content="${relay.relayUrl}">
      <script src="${relay.url}/pkg/polyfill.global.js"></script><script src="${relay.url}/arrivals.js"></script>
      <script>var peerEvents = beaker.peersockets.watch(); var joins = new Arrivals(peerEvents, 'join')</script>`);
    await outer.evaluate(() => joins.next());
    const frame = outer.page.frames().find((other) => other !== outer.page.mainFrame());
    const inner = { evaluate: (run, argument) => outer.evaluate(run, argument, frame) };
    assert.equal(await inner.evaluate(() => origin), 'null');
    await assertNoStorage(inner);
    await chatBothWays(outer, inner);
  });
}

/** Asserts that the place is one where storage throws. */
async function assertNoStorage(person) {
  const names = await person.evaluate(() => ['localStorage', 'sessionStorage'].map((kind) => {
    try {
      return String(window[kind]);
    } catch ({ name }) {
      return name;
    }
  }));
  assert.deepEqual(names, ['SecurityError', 'SecurityError']);
}

async function chatBothWays(one, other) {
  for (const person of [one, other]) {
    await person.evaluate(() => {
      window.chat = beaker.peersockets.join('chat');
      window.messages = new Arrivals(chat, 'message');
    });
  }
  for (const [from, to, words] of [[one, other, 'hello'], [other, one, 'good day']]) {
    await from.evaluate(async (words) => {
      if (peerEvents.peers.length === 0) await joins.next();
      chat.send(peerEvents.peers[0], words);
    }, words);
    assert.equal(await nextText(to), words);
  }
}
