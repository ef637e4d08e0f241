// The networks of these tests are what they are said to be: bare RTCPeerConnections find them so, with nothing of ours in the pages.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { OTHER_STUN, SECRET, startCoturn, STUN, turnServer } from './support/coturn.mjs';
import { startInternet } from './support/internet.mjs';

/** How long the tests may take together, in milliseconds. ICE gives up after 16 s on an idle machine. */
const TIMEOUT = 90_000;

const stun = [{ urls: STUN }];
const plain = fileURLToPath(new URL('support/plain.js', import.meta.url));

const [cone, symmetric] = await Promise.all(['cone', 'symmetric'].map(async (nat) => {
  const { internet, browsers } = await startInternet(nat);
  await startCoturn(internet);
  return browsers;
}));

describe('bare connections of two pages', { concurrency: true, timeout: TIMEOUT }, () => {
  test('behind cone NATs start from one address for all servers', async (t) => {
    for (const page of await openPages(t, cone)) assert.equal((await addressesOf(page)).length, 1);
  });

  test('behind cone NATs fail without servers', async (t) => {
    assert.deepEqual(await connect(await openPages(t, cone), []), ['failed', 'failed']);
  });

  test('behind cone NATs are direct with STUN', async (t) => {
    const pages = await openPages(t, cone);
    assert.deepEqual(await connect(pages, stun), ['direct', 'direct']);
    assert.deepEqual(await exchange(pages), ['from 1', 'from 0']);
  });

  test('behind symmetric NATs start from another address for each server', async (t) => {
    for (const page of await openPages(t, symmetric)) assert.equal((await addressesOf(page)).length, 2);
  });

  test('behind symmetric NATs fail with STUN', async (t) => {
    assert.deepEqual(await connect(await openPages(t, symmetric), stun), ['failed', 'failed']);
  });

  test('behind symmetric NATs fail with TURN where credentials are made with another secret', async (t) => {
    assert.deepEqual(await connect(await openPages(t, symmetric), [turnServer('another')]), ['failed', 'failed']);
  });

  test('behind symmetric NATs go through TURN with credentials', async (t) => {
    const pages = await openPages(t, symmetric);
    assert.deepEqual(await connect(pages, [turnServer(SECRET)]), ['relayed', 'relayed']);
    assert.deepEqual(await exchange(pages), ['from 1', 'from 0']);
  });
});

/** A page in each browser, with support/plain.js; they close when the test ends. */
function openPages(t, browsers) {
  return Promise.all(browsers.map(async (browser) => {
    const page = await browser.newPage();
    t.after(() => page.close());
    await page.addScriptTag({ path: plain });
    return page;
  }));
}

/** The addresses by which coturn knows a new socket of a page, one or two. */
async function addressesOf(page) {
  const addresses = await page.evaluate((iceServers) => addressesSeenBy(iceServers), [{ urls: [STUN, OTHER_STUN] }]);
  for (const address of addresses) assert.match(address, /^198\.51\.100\.\d+:\d+$/);
  return addresses;
}

/** Has two pages connect with these servers; gives what came of it at each. */
async function connect(pages, iceServers) {
  for (const page of pages) await page.evaluate((servers) => { window.end = new PlainConnection(servers); }, iceServers);
  const [caller, callee] = pages;
  const offer = await caller.evaluate(() => end.describe());
  const answer = await callee.evaluate((description) => end.describe(description), offer);
  await caller.evaluate((description) => end.accept(description), answer);
  return Promise.all(pages.map((page) => page.evaluate(() => end.outcome())));
}

/** What each of two connected pages hears from the other. */
function exchange(pages) {
  return Promise.all(pages.map((page, index) => page.evaluate((text) => end.exchange(text), `from ${index}`)));
}
