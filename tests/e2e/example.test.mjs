// The example of Beaker's documentation in Chromium.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { startBrowser } from './support/browser.mjs';
import { example, greetEachOther, leavesInTime, startExample } from './support/example.mjs';

/** SHA-256 of the block under "Example usage" in Beaker's documentation of `beaker.peersockets`. */
const DOCUMENTED = '58370991f65e1cd8ca10d8fbe2e8ab475ff98e36052cd54964ac8a2b87139271';

const openBoth = await startExample(await startBrowser());

test('the example is the one of the documentation, unchanged', () => {
  assert.equal(createHash('sha256').update(example).digest('hex'), DOCUMENTED);
});

test('the example runs as an inline classic script and as a module: join, messages both ways', async (t) => {
  await greetEachOther(await openBoth(t));
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
