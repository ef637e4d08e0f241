// The example of Beaker's documentation, as it stands there, in pages of today.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { newDrive, openPerson, startBrowser } from './support/browser.mjs';
import { startRelay } from './support/relay.mjs';

const EXAMPLE = new URL('./pages/beaker-example.js', import.meta.url);
/** SHA-256 of the block under "Example usage" in Beaker's documentation of `beaker.peersockets`. */
const DOCUMENTED = '58370991f65e1cd8ca10d8fbe2e8ab475ff98e36052cd54964ac8a2b87139271';
const LEAVE_WITHIN = 3_000;

const example = readFileSync(EXAMPLE, 'utf8');
const www = mkdtempSync(join(tmpdir(), 'peersockets-example-'));
after(() => rmSync(www, { recursive: true }));
const relay = await startRelay({ www });
const browser = await startBrowser();

test('the example is the one of the documentation, unchanged', () => {
  assert.equal(createHash('sha256').update(example).digest('hex'), DOCUMENTED);
});

test('the example runs as an inline classic script and as a module: join, messages both ways', async (t) => {
  const { classic, module } = await openBoth(t);

  await classic.evaluate(() => sendToAll('hello from a classic script'));
  await module.line('peer 1 says hello from a classic script');
  await module.evaluate(() => sendToAll('hello from a module'));
  await classic.line('peer 1 says hello from a module');
});

test('leave comes within 3 s of closing the page', async (t) => {
  const { classic, module } = await openBoth(t);
  await leavesInTime(classic, () => module.page.close());
});

test('leave comes within 3 s of closing the browser window', async (t) => {
  const { classic, module } = await openBoth(t);
  await leavesInTime(module, () => classic.context.close());
});

test('leave comes within 3 s of a crash of the page', async (t) => {
  const { classic, module } = await openBoth(t);
  const devtools = await module.context.newCDPSession(module.page);
  await leavesInTime(classic, async () => {
    // Nothing answers once it has crashed.
    devtools.send('Page.crash').catch(() => {});
    await module.page.waitForEvent('crash');
  });
});

/** The example in two contexts, which see each other: inline in a classic script, and as a module. */
async function openBoth(t) {
  const meta = `<meta charset="utf-8"><meta name="hyperdrive" content="${newDrive()}"><link rel="icon" href="data:,">`;
  writeFileSync(join(www, 'classic.html'), `<!doctype html>${meta}<script src="/pkg/polyfill.global.js"></script><script>${example}</script>`);
  // What a module declares is its own: one line behind the example lets the test reach it.
  writeFileSync(join(www, 'module.html'), `<!doctype html>${meta}<script type="module" src="/pkg/dist/polyfill.js"></script>
    <script type="module">${example}\nObject.assign(globalThis, { peerIds, peerEvents, sendToAll })</script>`);
  const [classic, module] = await Promise.all(['classic', 'module'].map((name) => openPerson(t, browser, `${relay.url}/${name}.html`)));
  for (const person of [classic, module]) {
    assert.deepEqual(await person.evaluate(async () => {
      if (peerIds.size === 0) await new Promise((resolve) => peerEvents.addEventListener('join', resolve));
      return [...peerIds];
    }), [1]);
  }
  return { classic, module };
}

/** Asserts that the one who stays is told in time that the other one goes. */
async function leavesInTime(stays, go) {
  await stays.evaluate(() => {
    window.left = new Promise((resolve) => peerEvents.addEventListener('leave', resolve)).then(() => peerIds.size);
  });
  const start = performance.now();
  await go();
  assert.equal(await stays.evaluate(() => left), 0);
  const took = performance.now() - start;
  assert.ok(took < LEAVE_WITHIN, `leave took ${Math.round(took)} ms`);
}
