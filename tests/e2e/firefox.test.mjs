// The package in Firefox, and in one room with Chromium.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { converse, meet, newDrive, nextDigest, nextText, openPerson, peersSeen, sendRandom, startBrowser, untilDirect } from './support/browser.mjs';
import { greetEachOther, leavesInTime, startExample } from './support/example.mjs';
import { startFirefox } from './support/firefox.mjs';
import { listen, nextError, visitSecurely } from './support/package-page.mjs';
import { startRelay } from './support/relay.mjs';
import { startWebServer } from './support/web-server.mjs';

const www = fileURLToPath(new URL('../../www', import.meta.url));
const ENTER = '\uE007';
/** What Firefox itself says of what it did not load or open; no page can silence that. */
const FIREFOX = [/^Firefox can’t establish a connection to the server at ws:/, /^Cross-Origin Request Blocked: /, /^Content-Security-Policy: /];

const relay = await startRelay();
const chromium = await startBrowser();
const firefox = await startFirefox();
const both = { relay, browsers: [firefox, chromium] };
const openBoth = await startExample(firefox);

test('Beaker’s example runs in Firefox as an inline classic script and as a module: join, messages both ways', async (t) => {
  await greetEachOther(await openBoth(t));
});

test('in Firefox leave comes within 3 s of closing the window', async (t) => {
  const { classic, module } = await openBoth(t);
  await leavesInTime(classic, () => module.page.close());
});

for (const [way, direct] of [['through the relay', false], ['directly', true]]) {
  test(`Firefox and Chromium see each other once, and messages of every size arrive intact both ways, ${way}`, async (t) => {
    const people = await converse(t, { ...both, direct });
    if (direct) await Promise.all(people.map(untilDirect));
    for (const [sender, receiver] of [people, people.toReversed()]) {
      for (const size of [0, 1, 65_536, 1_048_576, 8_388_607]) {
        const sent = await sendRandom(sender, 'chat', size);
        assert.deepEqual(await nextDigest(receiver), sent);
      }
    }
    for (const person of people) assert.deepEqual(await peersSeen(person), { joined: [1], left: [] });
  });

  for (const [index, browser] of ['Firefox', 'Chromium'].entries()) {
    test(`a page that closes in ${browser} leaves the one in the other browser, which it talks to ${way}`, async (t) => {
      const people = await meet(t, { ...both, direct });
      if (direct) await Promise.all(people.map(untilDirect));
      await people[index].page.close();
      assert.equal(await people[1 - index].evaluate(async () => (await leaves.next()).peerId), 1);
    });
  }
}

test('a page that is left and returned to in Firefox works again', async (t) => {
  const [returns, stays] = await converse(t, both);
  // Firefox keeps no page that has a connection: it is loaded anew, and somebody else.
  await returns.page.goto(`${relay.url}/elsewhere.html`);
  assert.equal(await stays.evaluate(async () => (await leaves.next()).peerId), 1);
  await returns.page.goBack();
  assert.equal(await stays.evaluate(async () => (await joins.next()).peerId), 2);
  await returns.evaluate(async () => {
    window.messages = new Arrivals(beaker.peersockets.join('chat'), 'message');
    await joins.next();
  });
  await stays.evaluate(() => chat.send(2, 'welcome back'));
  assert.equal(await nextText(returns), 'welcome back');
});

test('no-relay in Firefox: nothing listens at the URL, and a relay that comes is found', async (t) => {
  const late = await startRelay();
  await late.stop();
  const person = await visit(t);
  await listen(person, { relays: [late.relayUrl] });
  await reads(person, 'no-relay', `no relay answers at ${late.relayUrl}`);
  await late.start();
  await person.evaluate(() => states.until('ready'));
});

test('not-a-relay in Firefox: a web server', async (t) => {
  const { relayUrl: url } = await startWebServer();
  const person = await visit(t);
  await listen(person, { relays: [url] });
  await reads(person, 'not-a-relay', `what answers at ${url} is not a relay`);
});

test('mixed-content in Firefox: a secure page may not use an unencrypted relay elsewhere', async (t) => {
  const person = await openPerson(t, firefox);
  await visitSecurely(person);
  await listen(person, { relays: ['ws://relay.test/relay'] });
  await reads(person, 'mixed-content', 'a secure page may not open ws://relay.test/relay');
});

test('socket-blocked-by-csp in Firefox: the policy and its remedy are named', async (t) => {
  const person = await visit(t, "script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'");
  await listen(person, { relays: [relay.relayUrl] });
  await reads(person, 'socket-blocked-by-csp', `the page's Content-Security-Policy forbids ${relay.relayUrl}`);
});

test('wasm-blocked-by-csp in Firefox: the policy and its remedy are named; what was sent comes back', async (t) => {
  const person = await visit(t, "script-src 'self'");
  await listen(person, {});
  await person.evaluate(() => topic.send(1, 'do not lose me'));
  const file = await person.evaluate(() => new URL('/pkg/dist/peersockets.wasm', location).href);
  await reads(person, 'wasm-blocked-by-csp', `the page's Content-Security-Policy forbids WebAssembly (${file})`);
  assert.equal((await nextError(person)).message, 'do not lose me');
});

test('with \'wasm-unsafe-eval\' a strict policy is no obstacle in Firefox', async (t) => {
  const person = await visit(t, "script-src 'self' 'wasm-unsafe-eval'; connect-src 'self' ws:");
  await listen(person, { relays: [relay.relayUrl] });
  await person.evaluate(() => states.until('ready'));
});

test('in the demo Firefox and Chromium list each other by the same name and chat both ways', async (t) => {
  const demo = await startRelay({ www });
  const url = `${demo.url}/#drive=${newDrive()}`;
  const [ana, ben] = await Promise.all(both.browsers.map((browser) => openPerson(t, browser, url)));
  for (const person of [ana, ben]) await shows(person, '2 devices');
  assert.deepEqual(await namesOn(ana), (await namesOn(ben)).toReversed());

  await ana.evaluate(() => document.querySelector('#message').focus());
  await ana.page.type(`hello from Firefox${ENTER}`);
  await shows(ben, 'hello from Firefox');
  await ben.page.locator('#message').fill('hello from Chromium');
  await ben.page.locator('#message').press('Enter');
  await shows(ana, 'hello from Chromium');
});

/** A page in Firefox that has the package; from a server with this Content-Security-Policy, if one is given. */
async function visit(t, policy) {
  const server = policy ? await startWebServer({ headers: { 'content-security-policy': policy } }) : relay;
  const person = await openPerson(t, firefox, `${server.url}/package.html`);
  person.expect(...FIREFOX);
  return person;
}

/** Asserts what the next error says. The remedies' words are tested in Chromium. */
async function reads(person, code, reason) {
  const error = await nextError(person);
  assert.equal(error.code, code);
  const start = `${reason}. `;
  assert.equal(error.text.slice(0, start.length), start);
  assert.ok(error.text.length > start.length, 'it says what to do');
}

/** Waits until the page shows a text. */
function shows(person, text) {
  return person.evaluate(async (text) => {
    while (!document.body.innerText.includes(text)) await new Promise(requestAnimationFrame);
  }, text);
}

/** What the devices in the demo's list are called; the visitor's own is the first. */
function namesOn(person) {
  return person.evaluate(() => Array.from(document.querySelectorAll('.device b'), (name) => name.innerText));
}
