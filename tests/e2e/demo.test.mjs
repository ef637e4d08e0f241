// The demo in www/, as its visitors use it: real pages, the real relay, a context for each visitor.

import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { newDrive, openPerson, startBrowser } from './support/browser.mjs';
import { startRelay } from './support/relay.mjs';

const www = fileURLToPath(new URL('../../www', import.meta.url));
const PHONE = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true };

/** The drive of each test. */
const drives = new WeakMap();
const relay = await startRelay({ www });
const browser = await startBrowser();

test('without configuration the demo opens the public drive, says that nobody else is here, and offers a second window', async (t) => {
  const { page } = await openPerson(t, browser, relay.url);
  await page.getByText(`Public drive of ${new URL(relay.url).host}`).waitFor();
  await page.getByText('Nobody else is here yet.').waitFor();
  const [second] = await Promise.all([page.context().waitForEvent('page'), page.getByRole('link', { name: 'Open a second window' }).click()]);
  await second.locator('.device').nth(1).waitFor();
  await page.locator('.device').nth(1).waitFor();
  assert.equal(await page.locator('#nobody').isVisible(), false);
});

test('two visitors list each other by the same name and chat both ways', async (t) => {
  const [ana, ben] = await visitTogether(t);
  assert.equal(await nameOn(ana, 1), await nameOn(ben, 0));
  assert.equal(await nameOn(ben, 1), await nameOn(ana, 0));
  await say(ana, 'Hello!');
  await heard(ben, 'Hello!');
  await say(ben, 'Good day to you');
  await heard(ana, 'Good day to you');
});

test('a nickname stands beside the name of the key, never in its place', async (t) => {
  const [ana, ben] = await visitTogether(t);
  const name = await nameOn(ana, 0);
  await ana.page.getByLabel('Your nickname').fill('Ana');
  await ana.page.getByLabel('Your nickname').press('Enter');
  await ben.page.locator('.device', { hasText: 'Ana' }).filter({ hasText: name }).waitFor();
  await say(ana, 'It is me');
  await ben.page.locator('.message', { hasText: 'It is me' }).filter({ hasText: 'Ana' }).filter({ hasText: name }).waitFor();
});

test('the keyboard alone writes, sends, takes back, and takes a nickname', async (t) => {
  const [ana, ben] = await visitTogether(t);
  const { keyboard } = ana.page;
  await keyboard.type('taken back');
  await keyboard.press('Escape');
  await keyboard.type('typed, not clicked');
  await keyboard.press('Enter');
  await heard(ben, 'typed, not clicked');
  assert.equal(await ben.page.locator('.words', { hasText: 'taken back' }).count(), 0);
  // Past the button and the list.
  for (let step = 0; step < 3; step += 1) await keyboard.press('Tab');
  await keyboard.type('Keys');
  await keyboard.press('Enter');
  await ben.page.locator('.device', { hasText: 'Keys' }).waitFor();
  await keyboard.type('back at the message');
  await keyboard.press('Enter');
  await heard(ben, 'back at the message');
});

test('every control can be reached by Tab, has a name, and shows its focus', async (t) => {
  const { page } = await visit(t);
  const reached = new Set();
  // The page starts in the message; once around, and it is there again. On its way the focus leaves the page for the browser.
  while (!reached.has('message')) {
    await page.keyboard.press('Tab');
    const { name, outline } = await page.evaluate(() => {
      const { id, innerText } = document.activeElement;
      return { name: id || innerText, outline: getComputedStyle(document.activeElement).outlineStyle };
    });
    assert.ok(outline === 'solid' || (await page.evaluate(() => document.activeElement === document.body)), `${name} does not show its focus`);
    reached.add(name);
  }
  const controls = ['link', 'copy-link', 'other-drive', 'chat-log', 'Send', 'roster', 'nickname', 'topic-name', 'Join', 'send-topic', 'send-to', 'send-as', 'payload', 'counters', 'pause-frames', 'clear-frames', 'frames', 'copy-example', 'example'];
  assert.deepEqual(controls.filter((name) => !reached.has(name)), []);
  const nameless = await page.locator('input, select').evaluateAll((fields) => fields.filter((field) => field.labels.length === 0).map(({ id }) => id));
  assert.deepEqual(nameless, []);
});

test('what a stranger sends is shown as text or as bytes, never as markup', async (t) => {
  const [ana, ben] = await visitTogether(t);
  await ben.evaluate(() => {
    const topic = beaker.peersockets.join('chat');
    beaker.peersockets.watch().addEventListener('join', ({ peerId }) => {
      topic.send(peerId, JSON.stringify({ text: '<img src=x onerror=alert(1)>', name: '<b>bold</b>' }));
      for (const odd of ['plain words', 'null', '{"text":{}}', '[1', '', new Uint8Array([0, 255, 16])]) topic.send(peerId, odd);
    });
  });
  await heard(ana, '<img src=x onerror=alert(1)>');
  await ana.page.locator('.device', { hasText: '<b>bold</b>' }).waitFor();
  await heard(ana, 'plain words');
  await heard(ana, '{"text":{}}');
  await ana.page.locator('.raw', { hasText: '00 ff 10' }).waitFor();
  assert.equal(await ana.page.locator('main img').count(), 0);
});

test('the inspector shows every message of a topic, and sends to one device alone', async (t) => {
  const [ana, ben, eve] = await visitTogether(t, 3);
  for (const person of [ben, eve]) await joinTopic(person, 'cursor');
  await joinTopic(ana, 'cursor');
  const { page } = ana;
  await page.locator('#payload').fill('to all');
  await page.locator('#payload').press('Enter');
  await page.locator('#send-to').selectOption({ label: await nameOn(ben, 0) });
  await page.locator('#send-as').selectOption('hex');
  await page.locator('#payload').fill('00 ff 7f');
  await page.locator('#payload').press('Enter');
  await ben.page.locator('.frame.in', { hasText: '00 ff 7f' }).filter({ hasText: '3 B' }).waitFor();
  await eve.page.locator('.frame.in', { hasText: 'to all' }).filter({ hasText: '6 B' }).waitFor();
  // Messages arrive in order: had the second one been for her, it would be here with what ana says now.
  await say(ana, 'that was all');
  await heard(eve, 'that was all');
  assert.equal(await eve.page.locator('.frame', { hasText: '00 ff 7f' }).count(), 0);
  assert.match(await page.locator('.topic-row', { hasText: 'cursor' }).innerText(), /–\s+3 · 15 B/);
  await page.getByRole('button', { name: 'Leave the topic cursor' }).click();
  await page.locator('.topic-row', { hasText: 'cursor' }).waitFor({ state: 'detached' });
});

test('a flood leaves 500 messages in the inspector and 300 in the chat', async (t) => {
  const [ana, ben] = await visitTogether(t);
  await ben.evaluate(() => {
    const topic = beaker.peersockets.join('chat');
    beaker.peersockets.watch().addEventListener('join', ({ peerId }) => {
      for (let count = 1; count <= 1200; count += 1) topic.send(peerId, `flood ${count}`);
    });
  });
  await heard(ana, 'flood 1200');
  await ana.page.getByText('1200 messages, the last 500 are kept').waitFor();
  assert.equal(await ana.page.locator('.frame').count(), 500);
  assert.equal(await ana.page.locator('#chat-log > *').count(), 300);
});

test('a private drive is a room of its own, and its key is never sent to the server', async (t) => {
  const [ana, ben] = await visitTogether(t);
  const requests = [];
  ana.page.on('request', (request) => requests.push(request.url()));
  await ana.page.goto(relay.url);
  await ana.page.getByRole('link', { name: 'Start a private drive' }).click();
  await ana.page.getByRole('link', { name: 'Back to the public drive' }).waitFor();
  const link = await ana.page.locator('#link').inputValue();
  const [, key] = /^http:\/\/.*#drive=hyper:\/\/([0-9a-f]{64})$/.exec(link) ?? assert.fail(link);
  await ben.page.goto(link);
  await ben.page.locator('.device').nth(1).waitFor();
  await say(ben, 'only us');
  await heard(ana, 'only us');
  assert.equal(await ana.page.locator('.device').count(), 2);
  assert.ok(requests.length > 10 && requests.every((url) => !url.split('#')[0].includes(key)));
  await ana.page.getByRole('link', { name: 'Back to the public drive' }).click();
  await ana.page.getByRole('link', { name: 'Start a private drive' }).waitFor();
  await ben.page.locator('.event', { hasText: 'left' }).waitFor();
});

test('a link that names no drive is called so, and the relay is not blamed', async (t) => {
  const { page } = await openPerson(t, browser, `${relay.url}/#drive=hyper://nonsense`);
  await page.locator('.note', { hasText: 'This link names no drive.' }).waitFor();
  // That nothing more is to come is known once the state has followed.
  await page.locator('#state', { hasText: 'Offline' }).waitFor();
  assert.equal(await page.locator('.note').count(), 1);
});

test('a relay that is down is reported with what to do, and forgotten when it is back', async (t) => {
  const [ana, ben] = await visitTogether(t);
  for (const person of [ana, ben]) person.expect(/ERR_CONNECTION|WebSocket connection/);
  await relay.stop();
  for (const { page } of [ana, ben]) {
    await page.locator('#state', { hasText: 'Offline' }).waitFor();
    await page.locator('.note', { hasText: 'npm start' }).waitFor();
  }
  await say(ana, 'into the void');
  await ana.page.locator('.message.own', { hasText: 'not sent: nobody else is here' }).waitFor();
  await relay.start();
  for (const { page } of [ana, ben]) {
    await page.locator('#state', { hasText: 'Connected' }).waitFor();
    assert.equal(await page.locator('.note').count(), 0);
    await page.locator('.device').nth(1).waitFor();
  }
});

test('a page without its package says what to run', async (t) => {
  const pkg = await mkdtemp(join(tmpdir(), 'no-package-'));
  t.after(() => rm(pkg, { recursive: true }));
  const bare = await startRelay({ www, pkg });
  const person = await openPerson(t, browser);
  person.expect(/404/, /dynamically imported module/);
  await person.page.goto(bare.url);
  await person.page.locator('.note', { hasText: 'npm run build' }).waitFor();
});

test('nothing scrolls sideways on a phone, whatever strangers send', async (t) => {
  const [ana, ben] = await visitTogether(t, 2, PHONE);
  await ben.page.getByLabel('Your nickname').fill('W'.repeat(24));
  await ben.page.getByLabel('Your nickname').press('Enter');
  await say(ben, 'M'.repeat(400));
  await heard(ana, 'M'.repeat(400));
  await joinTopic(ben, 'T'.repeat(200));
  for (const { page } of [ana, ben]) {
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 390);
    const wide = await page.locator('body *').evaluateAll((all) => all.filter((one) => !one.closest('#halyard, #example, .unseen') && one.getBoundingClientRect().right > 390.5).map((one) => one.outerHTML.slice(0, 80)));
    assert.deepEqual(wide, []);
  }
});

test('nothing moves when visitors come and go', async (t) => {
  const ana = await visit(t);
  const before = await layout(ana);
  const ben = await visit(t);
  await ana.page.locator('.device').nth(1).waitFor();
  assert.deepEqual(await layout(ana), before);
  await ben.page.goto('about:blank');
  await ana.page.locator('.device').nth(1).waitFor({ state: 'detached' });
  assert.deepEqual(await layout(ana), before);
});

/** Opens the demo on a drive of this test's own, which it shares with those whom the same test lets visit. */
async function visit(t, options) {
  if (!drives.has(t)) drives.set(t, newDrive());
  const person = await openPerson(t, browser, `${relay.url}/#drive=${drives.get(t)}`, options);
  await person.page.locator('#state', { hasText: 'Connected' }).waitFor();
  return person;
}

async function visitTogether(t, count = 2, options) {
  const people = await Promise.all(Array.from({ length: count }, () => visit(t, options)));
  for (const { page } of people) await page.locator('.device').nth(count - 1).waitFor();
  return people;
}

async function say({ page }, text) {
  await page.getByLabel('Message to everyone here').fill(text);
  await page.getByLabel('Message to everyone here').press('Enter');
}

function heard({ page }, text) {
  return page.locator('.words', { hasText: text }).last().waitFor();
}

async function joinTopic({ page }, name) {
  await page.getByLabel('Join a topic').fill(name);
  await page.getByLabel('Join a topic').press('Enter');
  await page.locator('.topic-row', { hasText: name }).waitFor();
}

/** What the device in this row is called; row 0 is the visitor's own. */
function nameOn({ page }, row) {
  return page.locator('.device b').nth(row).innerText();
}

/** Where everything is that could move. */
function layout({ page }) {
  return page.locator('.panel, .drive, #composer, .nickname, footer').evaluateAll((all) => all.map((one) => {
    const { x, y, width, height } = one.getBoundingClientRect();
    return `${one.className || one.tagName} ${[x, y, width, height]}`;
  }));
}
