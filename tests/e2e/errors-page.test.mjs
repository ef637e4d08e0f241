// What goes wrong within a page: what people read, and that they get back what they gave.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { converse, newDrive, nextText, openPerson, personUrl, startBrowser } from './support/browser.mjs';
import { listen, nextError, warnings } from './support/package-page.mjs';
import { startRelay } from './support/relay.mjs';
import { startWebServer } from './support/web-server.mjs';

const WASM = '/pkg/dist/peersockets.wasm';
const NAME_A_DRIVE = 'Name the drive as hyper:// and 64 hex digits or 52 z-base-32 letters, in install({ drive }) or <meta name="hyperdrive">.';
const CHECK_THE_FILE = "The page must be able to fetch the package's dist/peersockets.wasm (CORS, connect-src): copy it there, or elsewhere and write install({ wasm: '/peersockets.wasm' }). With Vite before 8 write optimizeDeps: { exclude: ['beaker-peersockets'] } in vite.config.js.";
const WAIT = 'Wait before sending more; the event carries the message and its peerId, to send it again.';
/** What Chromium itself says of what it did not load. */
const CHROMIUM = [/^Failed to load resource: /, /Content Security Policy/];

const browser = await startBrowser();
const relay = await startRelay();
const stage = { browser, relay };

for (const [drive, reason] of [
  ['', 'it is empty'],
  ['hyper://beaker.network', 'its key has 14 characters, not 64 (hex) or 52 (z-base-32)'],
  [`hyper://${'g'.repeat(64)}`, "'g' does not belong in a key"],
  [`https://${'0'.repeat(64)}.example`, 'its scheme is not hyper:'],
]) {
  test(`bad-drive: ${JSON.stringify(drive)} is quoted, and no relay hears of this page`, async (t) => {
    const person = await openPerson(t, browser, `${relay.url}/package.html`);
    const sockets = [];
    person.page.on('websocket', (socket) => sockets.push(socket.url()));
    await listen(person, { drive });
    const error = await nextError(person);
    assert.equal(error.code, 'bad-drive');
    assert.equal(error.text, `the drive ${JSON.stringify(drive)} cannot be used: ${reason}. ${NAME_A_DRIVE}`);
    await person.evaluate(() => states.until('failed'));
    assert.deepEqual(sockets, []);
  });
}

test('message-too-large: the message comes back, and the next one is sent', async (t) => {
  const [sender, receiver] = await converse(t, stage);
  const error = await sender.evaluate(async () => {
    const errors = new Arrivals(chat, 'error');
    const message = new Uint8Array(8_388_608);
    crypto.getRandomValues(message.subarray(0, 65_536));
    chat.send(1, message);
    chat.send(1, 'small');
    const { code, error, topic, peerId, message: returned } = await errors.next();
    return { code, text: error.message, topic, peerId, isWhole: await digest(message) === await digest(returned) };
  });
  assert.deepEqual(error, {
    code: 'message-too-large', topic: 'chat', peerId: 1, isWhole: true,
    text: 'send() was given a message of 8388608 bytes. Split the message: 8,388,607 bytes is the most that one can have.',
  });
  assert.equal(await nextText(receiver), 'small');
});

test('queue-full: what does not fit comes back, and with what was taken nothing is missing', async (t) => {
  const [sender, receiver] = await converse(t, stage);
  const returned = await sender.evaluate(async () => {
    const errors = new Arrivals(chat, 'error');
    // In one turn nothing leaves: 16 MiB are taken, and the rest is not.
    for (let number = 0; number < 20; number += 1) chat.send(1, new Uint8Array(1_048_576).fill(number));
    await new Promise((resolve) => setTimeout(resolve));
    return errors.all.map(({ code, error, peerId, topic, message }) => ({ code, text: error.message, peerId, topic, number: message[0], bytes: message.length }));
  });
  assert.ok(returned.length >= 4, `${returned.length} came back`);
  const taken = 20 - returned.length;
  assert.deepEqual(returned, returned.map((_, index) => ({
    code: 'queue-full', peerId: 1, topic: 'chat', number: taken + index, bytes: 1_048_576, text: `16777216 bytes wait for this peer already. ${WAIT}`,
  })));
  const arrived = await receiver.evaluate(async (taken) => (await messages.take(taken)).map(({ message }) => message[0]), taken);
  assert.deepEqual(arrived, Array.from({ length: taken }, (_, number) => number));
});

test('queue-full: before anything is loaded 256 messages wait, and the next comes back', async (t) => {
  const person = await openPerson(t, browser, `${relay.url}/package.html`);
  await person.evaluate(() => {
    window.sockets = new PeerSockets();
    window.errors = new Arrivals(sockets, 'error');
    const topic = sockets.join('errors');
    for (let number = 0; number <= 256; number += 1) topic.send(1, `message ${number}`);
  });
  const error = await nextError(person);
  assert.deepEqual(error, {
    code: 'queue-full', url: undefined, topic: 'errors', peerId: 1, message: 'message 256',
    text: `more than 256 messages or 1 MiB were sent before the WebAssembly was loaded. ${WAIT}`,
  });
  await person.evaluate(() => sockets.ready);
  assert.equal(await person.evaluate(() => errors.all.length), 1);
});

test('queue-full: more than the wasm has memory for, sent in one turn to nobody, comes back and crashes nothing', async (t) => {
  const person = await openPerson(t, browser, `${relay.url}/package.html`);
  const { codes, reasons, own, state } = await person.evaluate(async () => {
    const sockets = new PeerSockets({ relays: [] });
    const errors = new Arrivals(sockets, 'error');
    const topic = sockets.join('errors');
    await sockets.ready;
    await errors.next();
    const [codes, reasons, before] = [new Set(), new Set(), sockets.state];
    const message = new Uint8Array(8_388_607);
    let [own, returned] = [0, 0];
    const done = new Promise((resolve) => {
      topic.addEventListener('error', (event) => {
        codes.add(event.code);
        reasons.add(event.reason);
        if (event.message === message) own += 1;
        returned += 1;
        if (returned === 600) resolve();
      });
    });
    // 600 times 8 MiB are more than the 4 GiB that wasm can address.
    for (let count = 0; count < 600; count += 1) topic.send(1, message);
    await done;
    return { codes: [...codes], reasons: [...reasons], own, state: [before, sockets.state] };
  });
  assert.deepEqual(codes, ['queue-full']);
  assert.deepEqual(reasons, ['256 messages or 1048576 bytes wait for the first relay already']);
  assert.deepEqual(state, ['offline', 'offline']);
  // 64 MiB of copies come back, then the message itself.
  assert.equal(own, 600 - 8);
});

test('message-too-large: a gigantic string comes back at once, itself', async (t) => {
  const person = await openPerson(t, browser, `${relay.url}/package.html`);
  await listen(person, { relays: [relay.relayUrl] });
  const { code, text, isItself, took } = await person.evaluate(async () => {
    await sockets.ready;
    const message = 'x'.repeat(2 ** 28);
    const start = performance.now();
    topic.send(1, message);
    const { code, error, message: returned } = await errors.next();
    return { code, text: error.message, isItself: returned.length === message.length && typeof returned === 'string', took: performance.now() - start };
  });
  assert.deepEqual({ code, text, isItself }, {
    code: 'message-too-large', isItself: true,
    text: 'send() was given a string of 268435456 characters. Split the message: 8,388,607 bytes is the most that one can have.',
  });
  assert.ok(took < 1_000, `send took ${Math.round(took)} ms`);
});

test('bad-message, topic-too-long, too-many-topics: each says what to do', async (t) => {
  const person = await openPerson(t, browser, `${relay.url}/package.html`);
  await listen(person, {});
  await person.evaluate(() => {
    topic.send(1, { plain: 'object' });
    sockets.join('é'.repeat(128));
    for (let count = 1; count <= 128; count += 1) sockets.join(`topic ${count}`);
  });
  const errors = [await nextError(person), await nextError(person), await nextError(person)];
  assert.deepEqual(errors.map(({ code, text, topic }) => ({ code, text, topic })), [
    {
      code: 'bad-message', topic: 'errors',
      text: 'send() was given an object. Give send() a string, an ArrayBuffer or a view of one, such as a Uint8Array; JSON.stringify() makes a string of anything else.',
    },
    { code: 'topic-too-long', topic: 'é'.repeat(128), text: 'a topic name has 256 bytes of UTF-8, more than 255. Use a shorter topic: 255 bytes of UTF-8 is the most.' },
    { code: 'too-many-topics', topic: 'topic 128', text: '128 topics are joined already. Close topics that are no longer needed: 128 can be joined at once.' },
  ]);
});

for (const [what, answer, reason] of [
  ['is not there', { status: 404, type: 'text/plain', body: 'gone' }, 'the server answered 404 Not Found'],
  ['is a page', { status: 200, type: 'text/html', body: '<!doctype html>' }, 'the server sent a page instead of it'],
]) {
  test(`wasm-load-failed: the file ${what}; what was sent comes back`, async (t) => {
    const server = await startWebServer({ answers: { [WASM]: answer } });
    const person = await openPerson(t, browser, `${server.url}/package.html`);
    person.expect(...CHROMIUM);
    await listen(person, {});
    await person.evaluate(() => topic.send(1, 'do not lose me'));
    const text = `the WebAssembly could not be loaded: ${reason} (${server.url}${WASM}). ${CHECK_THE_FILE}`;
    const about = { code: 'wasm-load-failed', text, url: server.url + WASM };
    assert.deepEqual(await nextError(person), { ...about, topic: undefined, peerId: undefined, message: undefined });
    assert.deepEqual(await nextError(person), { ...about, topic: 'errors', peerId: 1, message: 'do not lose me' });
    assert.equal(await person.evaluate(() => sockets.state), 'failed');
    assert.equal(await person.evaluate(() => sockets.ready.catch(({ code }) => code)), 'wasm-load-failed');
  });
}

test('wasm-blocked-by-csp: the policy and its remedy are named; what was sent comes back', async (t) => {
  const person = await visitWithPolicy(t, "script-src 'self'");
  await listen(person, {});
  await person.evaluate(() => topic.send(1, 'do not lose me'));
  const url = new URL(WASM, person.page.url()).href;
  const text = `the page's Content-Security-Policy forbids WebAssembly (${url}). Add 'wasm-unsafe-eval' to script-src in the page's Content-Security-Policy.`;
  assert.deepEqual(await nextError(person), { code: 'wasm-blocked-by-csp', text, url, topic: undefined, peerId: undefined, message: undefined });
  assert.deepEqual(await nextError(person), { code: 'wasm-blocked-by-csp', text, url, topic: 'errors', peerId: 1, message: 'do not lose me' });
});

test('with \'wasm-unsafe-eval\' a strict policy is no obstacle', async (t) => {
  const person = await visitWithPolicy(t, "script-src 'self' 'wasm-unsafe-eval'; connect-src 'self' ws:");
  await listen(person, { relays: [relay.relayUrl] });
  await person.evaluate(() => states.until('ready'));
});

test('wasm that is served as application/octet-stream loads', async (t) => {
  const server = await startWebServer({ answers: { [WASM]: { type: 'application/octet-stream' } } });
  const person = await openPerson(t, browser, `${server.url}/package.html`);
  await listen(person, { relays: [relay.relayUrl] });
  await person.evaluate(() => states.until('ready'));
});

test('with nobody listening each code is one line in the console, and the page goes on', async (t) => {
  const [sender, receiver] = await converse(t, stage);
  sender.expect(/^\[beaker-peersockets\] (bad-message|message-too-large): /);
  await sender.evaluate(() => {
    for (let time = 0; time < 3; time += 1) {
      chat.send(1, null);
      chat.send(1, new Uint8Array(8_388_608));
    }
    chat.send(1, 'goes on');
  });
  assert.equal(await nextText(receiver), 'goes on');
  assert.deepEqual((await warnings(sender)).map((line) => line.split(': ')[0]), ['[beaker-peersockets] bad-message', '[beaker-peersockets] message-too-large']);
});

test('with a listener the console stays silent', async (t) => {
  const person = await openPerson(t, browser, personUrl(relay, { drive: newDrive() }));
  const codes = await person.evaluate(async () => {
    const chat = beaker.peersockets.join('chat');
    const errors = new Arrivals(chat, 'error');
    chat.send(1, null);
    chat.send(1, new Uint8Array(8_388_608));
    return (await errors.take(2)).map(({ code }) => code);
  });
  assert.deepEqual(codes, ['bad-message', 'message-too-large']);
  assert.deepEqual(await warnings(person), []);
});

/** A page that has the package, from a server with this Content-Security-Policy. */
async function visitWithPolicy(t, policy) {
  const server = await startWebServer({ headers: { 'content-security-policy': policy } });
  const person = await openPerson(t, browser, `${server.url}/package.html`);
  person.expect(...CHROMIUM);
  return person;
}
