// Pages that have a `beaker` of their own before the package comes.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newDrive, openPerson, personUrl, startBrowser } from './support/browser.mjs';
import { startRelay } from './support/relay.mjs';

const relay = await startRelay();
const browser = await startBrowser();

test('a frozen beaker keeps what it has, and its page meets its peers', async (t) => {
  const url = personUrl(relay, { drive: newDrive() });
  const person = await visitWith(t, url, () => {
    window.beaker = Object.freeze({ hyperdrive: { open: () => 'opened' } });
  });
  const other = await openPerson(t, browser, url);
  for (const one of [person, other]) assert.equal((await one.evaluate(() => joins.next())).peerId, 1);
  assert.equal(await person.evaluate(() => beaker.hyperdrive.open()), 'opened');
});

test('a peersockets of the page\'s own stays, and nothing is loaded for it, until it is replaced by force', async (t) => {
  const drive = newDrive();
  const url = personUrl(relay, { drive });
  const loaded = [];
  const person = await visitWith(t, url, () => {
    window.own = { isClosed: false, watch: () => new EventTarget(), close: () => { own.isClosed = true } };
    window.beaker = { hyperdrive: 'here', peersockets: own };
  }, ({ page }) => page.on('request', (request) => loaded.push(new URL(request.url()).pathname)));
  assert.deepEqual(await person.evaluate(() => [beaker.peersockets === own, own.isClosed]), [true, false]);
  assert.deepEqual(loaded.filter((path) => path.startsWith('/pkg')), ['/pkg/polyfill.global.js']);

  const other = await openPerson(t, browser, url);
  const after = await person.evaluate(async () => {
    const { install } = await import('/pkg/dist/index.js');
    const sockets = install({ force: true });
    await new Arrivals(sockets.watch(), 'join').next();
    return [beaker.peersockets === sockets, own.isClosed, beaker.hyperdrive];
  });
  assert.deepEqual(after, [true, true, 'here']);
  assert.equal((await other.evaluate(() => joins.next())).peerId, 1);
});

/** Somebody whose page runs this before all others of its scripts. */
async function visitWith(t, url, script, prepare = () => {}) {
  const person = await openPerson(t, browser);
  await person.page.addInitScript(script);
  prepare(person);
  await person.page.goto(url);
  return person;
}
