// Workers: those that use the package, and one that keeps its files for pages.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newDrive, nextText, openPerson, personUrl, startBrowser } from './support/browser.mjs';
import { open } from './support/package-page.mjs';
import { startRelay } from './support/relay.mjs';
import { startWebServer } from './support/web-server.mjs';

const browser = await startBrowser();
const relay = await startRelay();

/** How a page gets a port to a worker of each kind; it is given the worker's end. */
const kinds = {
  'a dedicated worker': (end) => {
    window.worker = new Worker('/worker.js', { type: 'module' });
    worker.postMessage(null, [end]);
  },
  'a shared worker': (end) => new SharedWorker('/worker.js', { type: 'module' }).port.postMessage(null, [end]),
  'a service worker': async (end) => {
    await navigator.serviceWorker.register('/worker.js', { type: 'module' });
    (await navigator.serviceWorker.ready).active.postMessage(null, [end]);
  },
};

for (const [kind, start] of Object.entries(kinds)) {
  test(`${kind} that names drive and relays is a peer like any other`, async (t) => {
    const drive = newDrive();
    const other = await openPerson(t, browser, personUrl(relay, { drive }));
    await other.evaluate(() => {
      window.chat = beaker.peersockets.join('chat');
      window.messages = new Arrivals(chat, 'message');
    });
    const person = await openPerson(t, browser, `${relay.url}/package.html`);
    await startWorker(person, start, { drive, relays: relay.relayUrl });
    for (const one of [person, other]) assert.equal((await one.evaluate(() => joins.next())).peerId, 1);
    await person.evaluate(() => port.postMessage({ peerId: 1, text: 'from a worker' }));
    assert.equal(await nextText(other), 'from a worker');
    await other.evaluate(() => chat.send(1, 'to a worker'));
    assert.equal(await person.evaluate(async () => (await messages.next()).text), 'to a worker');
  });
}

test('a worker that ends leaves', async (t) => {
  const drive = newDrive();
  const other = await openPerson(t, browser, personUrl(relay, { drive }));
  const person = await openPerson(t, browser, `${relay.url}/package.html`);
  await startWorker(person, kinds['a dedicated worker'], { drive, relays: relay.relayUrl });
  await other.evaluate(() => joins.next());
  await person.evaluate(() => worker.terminate());
  assert.equal((await other.evaluate(() => leaves.next())).peerId, 1);
});

test('a worker notices that its browser goes offline, and asks its relay', async (t) => {
  const person = await openPerson(t, browser, `${relay.url}/package.html`);
  await startWorker(person, kinds['a dedicated worker'], { drive: newDrive(), relays: relay.relayUrl });
  await person.evaluate(() => states.until('ready'));
  // Playwright takes the network from pages only.
  await person.evaluate(() => port.postMessage({ event: 'offline' }));
  await person.evaluate(() => states.until('offline'));
  await person.evaluate(() => states.until('ready'));
});

test('a worker that names nothing meets nobody, whatever its page names, and says so', async (t) => {
  const person = await openPerson(t, browser, personUrl(relay, { drive: newDrive() }));
  await startWorker(person, kinds['a dedicated worker'], undefined);
  const error = await person.evaluate(async () => (await errors.next()).text);
  assert.match(error, /^no drive is named, and there is no page here with an origin to derive one from\. Name the drive /);
  await person.evaluate(() => states.until('failed'));
});

for (const [what, page] of [['classic script', 'person.html'], ['modules', 'package.html']]) {
  test(`a page whose service worker keeps its shell, ${what} and WebAssembly meets its peers when its server is gone`, async (t) => {
    const server = await startWebServer();
    const drive = newDrive();
    const url = personUrl(server, { drive, relays: [relay] }).replace('person.html', page);
    const person = await openPerson(t, browser, url);
    person.expect(/ERR_FAILED/);
    await person.evaluate(async () => {
      const controlled = new Promise((resolve) => navigator.serviceWorker.addEventListener('controllerchange', resolve));
      await navigator.serviceWorker.register('/shell.js');
      await controlled;
    });
    await visit(person, { page, drive });
    server.stop();
    await assert.rejects(person.evaluate(() => fetch('/elsewhere.html')));

    const other = await openPerson(t, browser, personUrl(relay, { drive }));
    await visit(person, { page, drive });
    for (const one of [person, other]) assert.equal((await one.evaluate(() => joins.next())).peerId, 1);
  });
}

/** Loads the page anew, and with it the WebAssembly. */
async function visit(person, { page, drive }) {
  await person.page.reload();
  if (page === 'package.html') await open(person, { url: drive }, relay, 'chat');
  await person.evaluate(() => (window.sockets ?? beaker.peersockets).ready);
}

/** Starts a worker with these options, in a page that keeps what it tells. */
async function startWorker(person, start, options) {
  await person.evaluate(() => {
    const { port1, port2 } = new MessageChannel();
    const told = new EventTarget();
    port1.onmessage = ({ data: [type, properties] }) => told.dispatchEvent(Object.assign(new Event(type), properties));
    Object.assign(window, { port: port1, end: port2 });
    for (const [name, type] of Object.entries({ states: 'state', errors: 'error', joins: 'join', leaves: 'leave', messages: 'message' })) {
      window[name] = new Arrivals(told, type);
    }
  });
  await person.evaluate(`(${start})(end)`);
  await person.evaluate((options) => port.postMessage({ options }), options);
}
