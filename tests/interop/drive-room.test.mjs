// Pages and processes that have the drive itself, in one room on one relay.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openPerson, personUrl, startBrowser } from '../e2e/support/browser.mjs';
import { startRelay } from '../e2e/support/relay.mjs';
import { driveUrl, openDrive, openStore, serve } from './support/drive-peer.mjs';
import { startNative } from './support/native.mjs';
import { startNativeProcess } from './support/native-process.mjs';

const relay = await startRelay();
const otherRelay = await startRelay();
const browser = await startBrowser();

/** A process with a drive, and pages on it that have joined `chat`; everyone sees everyone. */
async function meet(t, pageCount) {
  const native = await startNativeProcess(t, { relays: [relay] });
  return { native, pages: await openPages(t, native, pageCount) };
}

async function openPages(t, native, pageCount) {
  const url = personUrl(relay, { drive: `hyper://${native.key}` });
  const pages = await Promise.all(Array.from({ length: pageCount }, () => openPerson(t, browser, url)));
  await Promise.all(pages.map((page) => page.evaluate(async ({ others, deviceKey }) => {
    await joins.take(others);
    window.native = beaker.peersockets.stats().peers.find(({ publicKey }) => publicKey === deviceKey).peerId;
    window.chat = beaker.peersockets.join('chat');
    window.messages = new Arrivals(chat, 'message');
  }, { others: pageCount, deviceKey: native.deviceKey })));
  const joined = await native.joins.take(pageCount);
  assert.deepEqual(joined.sort(), pages.map((_, index) => index + 1));
  return pages;
}

const nextLeave = (page) => page.evaluate(async () => (await leaves.next()).peerId === native);
const nextJoin = (page) => page.evaluate(async () => (await joins.next()).peerId === native);
const nextMessage = (page) => page.evaluate(async () => {
  const { peerId, message } = await messages.next();
  return { isNative: peerId === native, message: [message.byteLength, await digest(message)] };
});

test('three pages and a process with the drive see each other, each exactly once', async (t) => {
  const { native, pages } = await meet(t, 3);
  // Whatever else was on its way has arrived when everyone has heard everyone.
  await native.call('sendToAll', 10);
  for (const page of pages) await page.evaluate(() => { for (const peerId of peerEvents.peers) chat.send(peerId, 'hello') });
  await native.messages.take(3);
  for (const page of pages) {
    const seen = await page.evaluate(async () => {
      await messages.take(3);
      return { joined: joins.all.map(({ peerId }) => peerId), left: leaves.all };
    });
    assert.deepEqual(seen, { joined: [1, 2, 3], left: [] });
  }
  assert.deepEqual([native.joins.rest, native.leaves.rest], [[], []]);
});

test('messages of every size arrive intact both ways between a process with the drive and pages', async (t) => {
  const { native, pages } = await meet(t, 3);
  for (const size of [0, 1, 65_536, 1_048_576, 8_388_607]) {
    await t.test(`${size.toLocaleString('en')} bytes`, async () => {
      const message = await native.call('sendToAll', size);
      assert.equal(message[0], size);
      for (const page of pages) assert.deepEqual(await nextMessage(page), { isNative: true, message });

      const sent = await Promise.all(pages.map((page) => page.evaluate(async (size) => {
        const message = new Uint8Array(size);
        for (let start = 0; start < size; start += 65_536) crypto.getRandomValues(message.subarray(start, start + 65_536));
        chat.send(native, message);
        return [size, await digest(message)];
      }, size)));
      const received = await native.messages.take(pages.length);
      assert.deepEqual(received.map(({ peerId }) => peerId).sort(), [1, 2, 3]);
      assert.deepEqual(received.map(({ message }) => message).sort(), sent.sort());
    });
  }
});

test('a process that is killed leaves, and joins again with the same id when it is back', async (t) => {
  const { native, pages } = await meet(t, 3);
  await native.kill();
  for (const page of pages) assert.ok(await nextLeave(page));
  await native.start();
  for (const page of pages) assert.ok(await nextJoin(page));
  const message = await native.joins.take(3).then(() => native.call('sendToAll', 100));
  for (const page of pages) assert.deepEqual(await nextMessage(page), { isNative: true, message });
});

test('the last words of a process that closes arrive before it leaves', async (t) => {
  const { native, pages: [page] } = await meet(t, 1);
  await native.call('sayAndClose', { count: 60, length: 1_000 });
  const numbers = await page.evaluate(async () => {
    await leaves.next();
    return messages.all.map(({ message }) => Number(text(message)));
  });
  assert.deepEqual(numbers, Array.from({ length: 60 }, (_, number) => number));
});

test('a process that closes leaves once, however many relays it has', async (t) => {
  const relays = [relay, otherRelay];
  // They talk through the first one, before there is a second.
  await otherRelay.stop();
  const native = await startNativeProcess(t, { relays, expected: /no-relay/ });
  const page = await openPerson(t, browser, personUrl(relay, { drive: `hyper://${native.key}`, relays }));
  page.expect(/WebSocket connection to/, /net::ERR/, /no-relay/);
  await page.evaluate(async () => {
    window.messages = new Arrivals(beaker.peersockets.join('chat'), 'message');
    await joins.next();
  });
  await native.joins.next();
  await native.call('sendToAll', 10);
  await page.evaluate(() => messages.next());
  await otherRelay.start();
  const bothHave = (count) => page.evaluate(async (count) => {
    while (!beaker.peersockets.stats().relays.every(({ members }) => members === count)) await new Promise(requestAnimationFrame);
  }, count);
  await bothHave(1);
  await native.call('sayAndClose', { count: 0 });
  await bothHave(0);
  assert.deepEqual(await page.evaluate(() => [joins, leaves].map(({ all }) => all.length)), [1, 1]);
});

test('a page that closes leaves at once for a process with the drive', async (t) => {
  const { native, pages: [page] } = await meet(t, 1);
  await page.evaluate(() => {
    chat.send(native, 'good night');
    beaker.peersockets.close();
  });
  assert.deepEqual((await native.messages.next()).message[0], 'good night'.length);
  assert.equal(await native.leaves.next(), 1);
});

test('two processes replicate their drive through the relay while messages flow, and pages talk with both', async (t) => {
  const { native, pages: [page] } = await meet(t, 1);
  const copy = await startNativeProcess(t, { key: native.key, relays: [relay] });
  await Promise.all([copy.joins.take(2), native.joins.next()]);
  await nextJoin(page);
  for (let number = 0; number < 10; number += 1) {
    const file = await native.call('put', `/file-${number}`, 200_000);
    const message = await copy.call('sendToAll', 100_000);
    assert.deepEqual(await copy.call('get', `/file-${number}`), file);
    assert.deepEqual((await native.messages.next()).message, message);
    assert.deepEqual((await nextMessage(page)).message, message);
  }
  assert.deepEqual([native.leaves.rest, copy.leaves.rest], [[], []]);
});

test('a page straight at the socket of a process that handles its streams is a device as at a relay', async (t) => {
  const drive = await openDrive(await openStore(t), 0);
  const native = startNative(t, drive);
  const server = await serve(t, (isInitiator) => native.sockets.handle(drive.replicate(isInitiator)));
  const page = await openPerson(t, browser, new URL('/package.html', relay.url).href);
  await page.evaluate(async ({ drive, peers }) => {
    window.sockets = new PeerSockets({ drive, peers });
    window.chat = sockets.join('chat');
    window.messages = new Arrivals(chat, 'message');
    const peerEvents = sockets.watch();
    window.joins = new Arrivals(peerEvents, 'join');
    window.leaves = new Arrivals(peerEvents, 'leave');
    chat.send((await joins.next()).peerId, 'hello');
  }, { drive: driveUrl(drive), peers: `ws://127.0.0.1:${server.address().port}/` });
  assert.equal(await native.nextText(), 'hello');
  native.chat.send(1, 'good night');
  await native.sockets.close();
  assert.deepEqual(await page.evaluate(async () => [text((await messages.next()).message), (await leaves.next()).peerId]), ['good night', 1]);
});

test('a process that replicates a thousand other cores too talks with pages', async (t) => {
  const native = await startNativeProcess(t, { relays: [relay] });
  await native.call('openCores', 1_000);
  const [page] = await openPages(t, native, 1);
  const message = await native.call('sendToAll', 100_000);
  assert.deepEqual(await nextMessage(page), { isNative: true, message });
});
