// The demo in www/, as its visitors use it: real pages, the real relay, a context for each visitor.

import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { newDrive, openPerson, personUrl, startBrowser } from './support/browser.mjs';
import { startRelay } from './support/relay.mjs';

const www = fileURLToPath(new URL('../../www', import.meta.url));
const EXAMPLE = new URL('./pages/beaker-example.js', import.meta.url);
/** A name by which the demo is not on the visitor's own computer. */
const ELSEWHERE = 'demo.example';
const PHONE = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true };

/** The drive of each test. */
const drives = new WeakMap();
const relay = await startRelay({ www });
const browser = await startBrowser();
const browserElsewhere = await startBrowser({ args: ['--no-sandbox', '--disable-gpu', '--disable-quic', `--host-resolver-rules=MAP ${ELSEWHERE} 127.0.0.1`] });

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

test('the demo and the example of Beaker’s documentation talk to each other', async (t) => {
  const ana = await visit(t);
  const pages = await startRelay();
  const stranger = await openPerson(t, browser, personUrl(pages, { drive: drives.get(t), relays: [relay] }));
  await stranger.evaluate(() => joins.take(1));
  await stranger.page.evaluate(await readFile(EXAMPLE, 'utf8'));
  await stranger.evaluate(() => peerIds.size > 0 || new Promise((resolve) => peerEvents.addEventListener('join', resolve)));
  await stranger.evaluate(() => sendToAll('hello from the example'));
  await heard(ana, 'hello from the example');
  await say(ana, 'hello from the demo');
  await stranger.line('peer 1 says hello from the demo');
});

test('a nickname stands beside the name of the key, never in its place', async (t) => {
  const [ana, ben] = await visitTogether(t);
  const name = await nameOn(ana, 0);
  await takeNickname(ana, 'Ana');
  await ben.page.locator('.device', { hasText: 'Ana' }).filter({ hasText: name }).waitFor();
  await say(ana, 'It is me');
  await ben.page.locator('.message', { hasText: 'It is me' }).filter({ hasText: 'Ana' }).filter({ hasText: name }).waitFor();
});

test('a new nickname is told to everyone in a line of the chat', async (t) => {
  const [ana, ben] = await visitTogether(t);
  const name = await nameOn(ana, 0);
  for (const [nickname, line] of [['Ana', `${name} is now called Ana`], ['Anna', `Ana ${name} is now called Anna`], ['', `Anna ${name} has no nickname any more`]]) {
    await takeNickname(ana, nickname);
    await ben.page.locator('.event').getByText(line, { exact: true }).waitFor();
  }
  await ana.page.locator('.event', { hasText: 'You are now called Anna' }).waitFor();
  // Who comes later is introduced, which is no change.
  await takeNickname(ana, 'Ana');
  const eve = await visit(t);
  await eve.page.locator('.device', { hasText: 'Ana' }).waitFor();
  await say(ana, 'we have met');
  await heard(eve, 'we have met');
  assert.equal(await eve.page.locator('.event', { hasText: 'now called' }).count(), 0);
});

test('the keyboard alone writes, sends, takes back, and takes a nickname', async (t) => {
  const [ana, ben] = await visitTogether(t);
  const { keyboard } = ana.page;
  do await keyboard.press('Tab');
  while ((await focus(ana)) !== 'message');
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

test('Tab reaches every control in reading order, each has a name and shows its focus', async (t) => {
  const ana = await visit(t);
  const { page } = ana;
  await page.locator('#nobody').waitFor();
  const reached = [];
  // Behind the last one the focus leaves the page for the browser.
  for (await page.keyboard.press('Tab'); (await focus(ana)) !== ''; await page.keyboard.press('Tab')) {
    const name = await focus(ana);
    assert.equal(await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle), 'solid', `${name} does not show its focus`);
    reached.push(name);
  }
  assert.deepEqual(reached, [
    'link', 'copy-link', 'other-drive', 'chat-log', 'second-window', 'message', 'say', 'roster', 'nickname', 'room-list', 'direct', 'topic-name', 'Join', 'send-topic',
    'send-to', 'send-as', 'payload', 'Send', 'counters', 'pause-frames', 'clear-frames', 'frames', 'copy-example', 'example',
  ]);
  const nameless = await page.locator('input, select').evaluateAll((fields) => fields.filter((field) => field.labels.length === 0).map(({ id }) => id));
  assert.deepEqual(nameless, []);
});

test('nothing takes the focus by itself, so that no phone opens its keyboard', async (t) => {
  for (const options of [{}, PHONE]) assert.equal(await focus(await visit(t, options)), '');
});

test('what a stranger sends is shown as text or as bytes, never as markup', async (t) => {
  const [ana, ben] = await visitTogether(t);
  await ben.evaluate(() => {
    const chat = beaker.peersockets.join('chat');
    const nickname = beaker.peersockets.join('demo/nickname');
    beaker.peersockets.watch().addEventListener('join', ({ peerId }) => {
      for (const odd of [new Uint8Array([0, 255, 16]), '<b>bold</b>']) nickname.send(peerId, odd);
      for (const odd of ['<img src=x onerror=alert(1)>', 'plain words', '{"text":{}}', '', 'ä'.repeat(5000), new Uint8Array([0, 255, 16])]) chat.send(peerId, odd);
    });
  });
  await heard(ana, '<img src=x onerror=alert(1)>');
  await ana.page.locator('.device', { hasText: '<b>bold</b>' }).waitFor();
  await heard(ana, 'plain words');
  await heard(ana, '{"text":{}}');
  await ana.page.locator('.message', { hasText: '0 B' }).first().waitFor();
  await ana.page.getByText(`${'ä'.repeat(4000)}…`, { exact: true }).waitFor();
  await ana.page.locator('.raw', { hasText: '00 ff 10' }).waitFor();
  assert.equal(await ana.page.locator('main img, .words b').count(), 0);
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
  assert.match(await page.locator('.topic-row', { hasText: 'cursor' }).innerText(), /–\s+3\s·\s15\sB/);
  await page.getByRole('button', { name: 'Leave the topic cursor' }).click();
  await page.locator('.topic-row', { hasText: 'cursor' }).waitFor({ state: 'detached' });
});

for (const [path, note] of [['relay', '2 through the relay'], ['direct', '2 direct']]) {
  test(`three visitors are drawn with an edge and a time to each other, and the table says the same: ${path}`, async (t) => {
    const visitors = await visitTogether(t, 3, { direct: path === 'direct' });
    await areDrawn(visitors, path, note);
  });
}

test('whoever is waited for while the relay is away has no edge, and gets it back', async (t) => {
  const own = await startRelay({ www });
  const url = `${own.url}/#drive=${newDrive()}`;
  const [ana, ben] = await Promise.all([1, 2].map(() => openDemo(t, url, { direct: false })));
  for (const person of [ana, ben]) {
    person.expect(/ERR_CONNECTION|WebSocket connection|426/);
    await person.page.locator('#room-map .edge.relay').waitFor({ state: 'attached' });
  }
  await own.kill();
  await ana.page.locator('#room-map .node.none').waitFor();
  assert.equal(await ana.page.locator('#room-map .edge').count(), 0);
  assert.equal(await ana.page.locator('#room-map .relay-node.joined').count(), 0);
  assert.equal(await ana.page.locator('#room-rows tr').innerText().then((row) => row.includes('waiting')), true);
  await own.start();
  await ana.page.locator('#room-map .edge.relay').waitFor({ state: 'attached' });
});

test('visitors who are directly connected go on without the relay', async (t) => {
  const own = await startRelay({ www });
  const url = `${own.url}/#drive=${newDrive()}`;
  const [ana, ben] = await Promise.all([1, 2].map(() => openDemo(t, url)));
  for (const person of [ana, ben]) {
    person.expect(/ERR_CONNECTION|WebSocket connection|426/);
    await person.page.locator('#room-map .edge.direct').waitFor({ state: 'attached' });
  }
  await own.kill();
  for (const { page } of [ana, ben]) await page.locator('#room-map .relay-node.joined').waitFor({ state: 'detached' });
  await say(ana, 'still here');
  await heard(ben, 'still here');
  await ben.page.locator('#state').getByText('Connected to peers only', { exact: true }).waitFor();
});

test('a visitor who is not to connect directly makes no peer connection from then on, until that is chosen again', async (t) => {
  const [ana, ben] = await visitTogether(t);
  const directly = ana.page.getByLabel('Connect directly');
  const note = (person, words) => person.page.locator('#room-note').getByText(words, { exact: true }).waitFor();
  await note(ana, '1 direct');
  await ana.context.addInitScript(() => {
    window.made = 0;
    window.RTCPeerConnection = class extends RTCPeerConnection {
      constructor(...parameters) {
        super(...parameters);
        window.made += 1;
      }
    };
  });
  await Promise.all([ana.page.waitForEvent('load'), directly.uncheck()]);
  for (const person of [ana, ben]) await note(person, '1 through the relay');
  await Promise.all([ana.page.waitForEvent('load'), ana.page.reload()]);
  await note(ana, '1 through the relay');
  assert.equal(await directly.isChecked(), false);
  // Nor does a window that is opened from here.
  const second = await ana.context.newPage();
  await second.goto(await ana.page.locator('#second-window').evaluate(({ href }) => href));
  assert.equal(await second.getByLabel('Connect directly').isChecked(), false);
  assert.equal(new URL(second.url()).hash, new URL(ana.page.url()).hash);
  await second.close();
  await say(ana, 'Through the relay');
  await heard(ben, 'Through the relay');
  assert.equal(await ana.page.evaluate(() => made), 0);
  await Promise.all([ana.page.waitForEvent('load'), directly.check()]);
  for (const person of [ana, ben]) await note(person, '1 direct');
});

test('a flood leaves 500 messages in the inspector and 300 in the chat', async (t) => {
  const [ana, ben] = await visitTogether(t);
  // Both have introduced themselves.
  await ana.page.getByText('2 messages', { exact: true }).waitFor();
  await ana.page.locator('#clear-frames').click();
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

test('a topic that cannot be joined is not listed, and the field says why until it is edited', async (t) => {
  const ana = await visit(t);
  const { page } = ana;
  await joinTopic(ana, 'cursor');
  await page.getByLabel('Join a topic').fill('é'.repeat(200));
  await page.getByLabel('Join a topic').press('Enter');
  await page.locator('#topic-name-problem', { hasText: 'it has 400 bytes, and 255 is the most' }).waitFor();
  assert.equal(await focus(ana), 'topic-name');
  assert.deepEqual(await page.locator('.topic-row bdi').allInnerTexts(), ['chat', 'demo/nickname', 'cursor']);
  assert.deepEqual(await page.locator('#send-topic option').allInnerTexts(), ['chat', 'demo/nickname', 'cursor']);
  assert.equal(await page.locator('#send-topic').inputValue(), 'cursor');
  assert.equal(await page.locator('.note').count(), 0);
  await page.keyboard.press('Backspace');
  assert.equal(await page.locator('#topic-name-problem').innerText(), '');
});

test('what cannot be sent stays where it was typed, with the reason', async (t) => {
  const ana = await visit(t);
  const { page } = ana;
  for (const [field, problem] of [['#message', '#message-problem'], ['#payload', '#payload-problem']]) {
    await page.locator(field).fill('anyone?');
    await page.locator(field).press('Enter');
    assert.equal(await page.locator(problem).innerText(), 'Not sent: nobody else is here.');
    assert.equal(await page.locator(field).inputValue(), 'anyone?');
  }
  const ben = await visit(t);
  await page.locator('.device').nth(1).waitFor();
  assert.equal(await page.locator('.problem', { hasText: 'Not sent' }).count(), 0);
  await page.locator('#message').press('Enter');
  await heard(ben, 'anyone?');
  assert.equal(await page.locator('#message').inputValue(), '');
});

test('a link that names no drive is called so, is not passed on, and nothing can be written', async (t) => {
  const { page } = await openPerson(t, browser, `${relay.url}/#drive=nonsense`);
  await page.locator('#state', { hasText: 'Bad link' }).waitFor();
  await page.locator('.note', { hasText: 'This link names no drive.' }).waitFor();
  // That nothing more is to come is known once the package has followed.
  await page.evaluate(() => beaker.peersockets.state === 'failed' || new Promise((resolve) => beaker.peersockets.addEventListener('state', resolve)));
  assert.equal(await page.locator('#state').innerText(), 'Bad link');
  assert.equal(await page.locator('.note').count(), 1);
  for (const hidden of ['#link', '#copy-link', '#example']) assert.equal(await page.locator(hidden).isVisible(), false, hidden);
  assert.equal(await page.locator('#message').isDisabled(), true);
  assert.equal(await page.locator('#say').isDisabled(), true);
  const controls = page.locator(':is(#join-form, #send-form) :is(input, select, button)');
  assert.deepEqual(await controls.evaluateAll((all) => all.map((control) => control.disabled)), Array(7).fill(true));
  assert.equal(await page.locator('#message').getAttribute('placeholder'), 'Closed: this link names no drive');
  await page.getByRole('link', { name: 'Back to the public drive' }).click();
  await page.locator('#state', { hasText: 'Connected' }).waitFor();
});

test('a relay that is down is reported with what to do, and forgotten when it is back', async (t) => {
  const [ana, ben] = await visitTogether(t, 2, { direct: false });
  for (const person of [ana, ben]) person.expect(/ERR_CONNECTION|WebSocket connection|426/);
  await relay.stop();
  for (const { page } of [ana, ben]) {
    await page.locator('#state', { hasText: 'Offline' }).waitFor();
    await page.locator('.note', { hasText: 'npm start' }).waitFor();
    assert.equal(await page.locator('#message').getAttribute('placeholder'), 'Nothing is sent now: this page is offline');
  }
  await say(ana, 'into the void');
  assert.equal(await ana.page.locator('#message-problem').innerText(), 'Not sent: this page is offline.');
  await relay.start();
  for (const { page } of [ana, ben]) {
    await page.locator('#state', { hasText: 'Connected' }).waitFor();
    assert.equal(await page.locator('.note').count(), 0);
    await page.locator('.device').nth(1).waitFor();
  }
  assert.equal(await ana.page.locator('#message-problem').innerText(), '');
  await ana.page.locator('#message').press('Enter');
  await heard(ben, 'into the void');
});

test('only who has the relay on this computer is told how to start it', async (t) => {
  const drive = newDrive();
  const own = await startRelay({ www });
  const here = await openPerson(t, browser, `${own.url}/#drive=${drive}`);
  const elsewhere = await openPerson(t, browserElsewhere, `${own.url.replace('127.0.0.1', ELSEWHERE)}/#drive=${drive}`);
  for (const { page } of [here, elsewhere]) await page.locator('.device').nth(1).waitFor();
  assert.match(await here.page.locator('#example-remark').innerText(), /from any page on this computer/);
  assert.match(await elsewhere.page.locator('#example-remark').innerText(), /from wherever this relay can be reached/);
  for (const person of [here, elsewhere]) person.expect(/ERR_CONNECTION|WebSocket connection|426/);
  await own.stop();
  await here.page.locator('.note', { hasText: 'The relay does not answer. If it is yours, start it with “npm start”. It is tried again by itself.' }).waitFor();
  await elsewhere.page.locator('.note', { hasText: 'The relay does not answer. It is tried again by itself.' }).waitFor();
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
  await takeNickname(ben, 'W'.repeat(24));
  await say(ben, 'M'.repeat(400));
  await heard(ana, 'M'.repeat(400));
  await joinTopic(ben, 'T'.repeat(200));
  for (const { page } of [ana, ben]) {
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 390);
    const wide = await page.locator('body *').evaluateAll((all) => all.filter((one) => !one.closest('#halyard, #example, .unseen') && one.getBoundingClientRect().right > 390.5).map((one) => one.outerHTML.slice(0, 80)));
    assert.deepEqual(wide, []);
    assert.ok(await page.locator('#example').evaluate((code) => code.scrollWidth <= code.clientWidth), 'the lines of code are broken where they are too long');
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

/** The first of three sees what is between it and the others. */
async function areDrawn([ana, ben], path, note) {
  const { page } = ana;
  assert.equal(await page.locator('#room-map .node').count(), 3);
  assert.equal(await page.locator('#room-map .relay-node.joined').count(), 1);
  for (const peer of [1, 2]) {
    await page.locator(`#room-map .edge.${path}[data-peer="${peer}"]`).waitFor({ state: 'attached' });
    await page.locator(`#room-map .time[data-peer="${peer}"]`, { hasText: /^[<\d.\s]+m?s$/ }).waitFor();
  }
  assert.equal(await page.locator('#room-map .trunk.used').count(), path === 'relay' ? 1 : 0);
  const rows = await page.locator('#room-rows tr').evaluateAll((all) => all.map((row) => [...row.cells].map((cell) => cell.innerText)));
  assert.deepEqual(rows.map(([name, how]) => [name, how]).sort(), (await others(ana)).map((name) => [name, path]).sort());
  for (const [, , time] of rows) assert.match(time, /\d\sm?s$/);
  assert.equal(await page.locator('#room-note').innerText(), note);
  assert.equal(await page.locator('#room-map').getAttribute('aria-label'), 'This device and 2 others; the table says the same in words');

  await takeNickname(ben, 'Ben');
  await page.locator('#room-map .node', { hasText: 'Ben' }).waitFor();
  await ben.page.close();
  await page.locator('#room-map .edge').nth(1).waitFor({ state: 'detached' });
  assert.equal(await page.locator('#room-map .node').count(), 2);
  assert.equal(await page.locator('#room-rows tr').count(), 1);
}

/** Opens the demo on a drive of this test's own, which it shares with those whom the same test lets visit. */
async function visit(t, options) {
  if (!drives.has(t)) drives.set(t, newDrive());
  const person = await openDemo(t, `${relay.url}/#drive=${drives.get(t)}`, options);
  await person.page.locator('#state', { hasText: 'Connected' }).waitFor();
  return person;
}

/** Opens it in a browser, which is without WebRTC if `direct` is false: then all goes through the relay. */
async function openDemo(t, url, { direct = true, ...options } = {}) {
  const person = await openPerson(t, browser, undefined, options);
  if (!direct) await person.context.addInitScript(() => { delete window.RTCPeerConnection; });
  await person.page.goto(url);
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

async function takeNickname({ page }, nickname) {
  await page.getByLabel('Your nickname').fill(nickname);
  await page.getByLabel('Your nickname').press('Enter');
}

/** The control that has the focus; `''` if none has. */
function focus({ page }) {
  return page.evaluate(() => (document.activeElement === document.body ? '' : document.activeElement.id || document.activeElement.innerText));
}

async function joinTopic({ page }, name) {
  await page.getByLabel('Join a topic').fill(name);
  await page.getByLabel('Join a topic').press('Enter');
  await page.locator('.topic-row', { hasText: name }).waitFor();
}

/** What the others are called in the list of who is here. */
async function others({ page }) {
  return (await page.locator('.device b').allInnerTexts()).slice(1);
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
