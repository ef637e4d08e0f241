// The example of Beaker's documentation, as it stands there, in pages of today.

import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { newDrive, openPerson } from './browser.mjs';
import { startRelay } from './relay.mjs';

const LEAVE_WITHIN = 3_000;

/** Its code. */
export const example = readFileSync(new URL('../pages/beaker-example.js', import.meta.url), 'utf8');

/**
 * Starts a relay for it. Gives a function that opens it twice, inline in a classic script and as a module, in two contexts of the
 * browser that see each other.
 */
export async function startExample(browser) {
  const www = mkdtempSync(join(tmpdir(), 'peersockets-example-'));
  after(() => rmSync(www, { recursive: true }));
  const relay = await startRelay({ www });
  return async (t) => {
    writePages(www, newDrive());
    const [classic, module] = await Promise.all(['classic', 'module'].map((name) => openPerson(t, browser, `${relay.url}/${name}.html`)));
    for (const person of [classic, module]) {
      assert.deepEqual(await person.evaluate(async () => {
        if (peerIds.size === 0) await new Promise((resolve) => peerEvents.addEventListener('join', resolve));
        return [...peerIds];
      }), [1]);
    }
    return { classic, module };
  };
}

function writePages(www, drive) {
  const meta = `<meta charset="utf-8"><meta name="hyperdrive" content="${drive}"><link rel="icon" href="data:,">`;
  writeFileSync(join(www, 'classic.html'), `<!doctype html>${meta}<script src="/pkg/polyfill.global.js"></script><script>${example}</script>`);
  // What a module declares is its own: one line behind the example lets the test reach it.
  writeFileSync(join(www, 'module.html'), `<!doctype html>${meta}<script type="module" src="/pkg/dist/polyfill.js"></script>
    <script type="module">${example}\nObject.assign(globalThis, { peerIds, peerEvents, sendToAll })</script>`);
}

/** Lets the two pages of the example say something to each other. */
export async function greetEachOther({ classic, module }) {
  await classic.evaluate(() => sendToAll('hello from a classic script'));
  await module.line('peer 1 says hello from a classic script');
  await module.evaluate(() => sendToAll('hello from a module'));
  await classic.line('peer 1 says hello from a module');
}

/** Asserts that the one who stays is told in time that the other one goes. */
export async function leavesInTime(stays, go) {
  await stays.evaluate(() => {
    window.left = new Promise((resolve) => peerEvents.addEventListener('leave', resolve)).then(() => peerIds.size);
  });
  const start = performance.now();
  await go();
  assert.equal(await stays.evaluate(() => left), 0);
  const took = performance.now() - start;
  assert.ok(took < LEAVE_WITHIN, `leave took ${Math.round(took)} ms`);
}
