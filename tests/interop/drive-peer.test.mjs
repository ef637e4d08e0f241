// A page and a process that has the drive and knows nothing of this package but one extension: no relay is between them.

import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { test } from 'node:test';
import { WebSocketServer } from 'ws';
import { openPerson, startBrowser } from '../e2e/support/browser.mjs';
import { listen, nextError } from '../e2e/support/package-page.mjs';
import { startRelay } from '../e2e/support/relay.mjs';
import { Arrivals } from './support/arrivals.mjs';
import { close, driveUrl, joinChat, openCopy, readFile, serve, startDrivePeer } from './support/drive-peer.mjs';

// It only serves the page.
const relay = await startRelay();
const browser = await startBrowser();

/** A page on a drive, with the topic `chat` joined, that knows these peers and no relay. */
async function openPage(t, drive, peers) {
  const page = await openPerson(t, browser, new URL('/package.html', relay.url).href);
  await page.evaluate(({ drive, peers }) => {
    window.sockets = new PeerSockets({ drive, peers });
    window.states = new Arrivals(sockets, 'state');
    window.errors = new Arrivals(sockets, 'error');
    window.peerEvents = sockets.watch();
    window.joins = new Arrivals(peerEvents, 'join');
    window.leaves = new Arrivals(peerEvents, 'leave');
    window.paths = new Arrivals(peerEvents, 'path');
    window.chat = sockets.join('chat');
    window.messages = new Arrivals(chat, 'message');
  }, { drive, peers });
  return page;
}

const nextJoin = (page) => page.evaluate(async () => (await joins.next()).peerId);
const nextLeave = (page) => page.evaluate(async () => (await leaves.next()).peerId);
const nextText = (page) => page.evaluate(async () => text((await messages.next()).message));
const digest = (bytes) => createHash('sha256').update(bytes).digest('base64');

test('a plain peer that knows one extension and a page exchange messages, and it comes and goes in watch()', async (t) => {
  const peer = await startDrivePeer(t);
  const { messages, send } = joinChat(peer.drive);
  const page = await openPage(t, peer.driveUrl, [peer.url]);
  assert.equal(await nextJoin(page), 1);
  await page.evaluate(() => { chat.send(1, 'hello, drive') });
  const first = await messages.next();
  assert.equal(first.bytes.toString(), 'hello, drive');
  send(Buffer.from('hello, page'), first.peer);
  assert.equal(await nextText(page), 'hello, page');
  const { path, url } = await page.evaluate(() => sockets.stats().peers[0]);
  assert.deepEqual({ path, url }, { path: 'direct', url: peer.url });
  assert.deepEqual(await page.evaluate(() => paths.next()), { isTrusted: false, peerId: 1, path: 'direct', roundTripTime: undefined });

  const { port } = peer.server.address();
  await close(peer.server);
  assert.equal(await nextLeave(page), 1);
  page.expect(/WebSocket connection to/, /net::ERR/);
  await serve(t, (isInitiator) => peer.drive.replicate(isInitiator), { port });
  assert.equal(await nextJoin(page), 2, 'a plain peer has a new key each time');
});

test('a page whose network changes meets its drive peer again on a new socket', async (t) => {
  const peer = await startDrivePeer(t);
  const connected = new Arrivals();
  const page = await openPage(t, peer.driveUrl, [peer.url]);
  assert.equal(await nextJoin(page), 1);
  peer.server.on('connection', (socket) => connected.push(socket));
  // The socket of the old network carries nothing any more, and nobody is told.
  for (const socket of peer.server.clients) {
    socket.pause();
    socket.send = () => {};
  }
  await page.context.setOffline(true);
  await page.evaluate(() => states.until('offline'));
  await page.context.setOffline(false);
  await connected.next();
  assert.equal(await nextLeave(page), 1);
  assert.equal(await nextJoin(page), 2);
});

for (const size of [0, 1, 65_536, 1_048_576, 8_388_607]) {
  test(`a message of ${size.toLocaleString('en')} bytes arrives intact both ways between a plain peer and a page`, async (t) => {
    const peer = await startDrivePeer(t);
    const { messages, send } = joinChat(peer.drive);
    const page = await openPage(t, peer.driveUrl, [peer.url]);
    await nextJoin(page);
    const sent = await page.evaluate(async (size) => {
      const message = new Uint8Array(size);
      for (let start = 0; start < size; start += 65_536) crypto.getRandomValues(message.subarray(start, start + 65_536));
      chat.send(1, message);
      return digest(message);
    }, size);
    const { bytes, peer: remote } = await messages.next();
    assert.deepEqual([bytes.length, digest(bytes)], [size, sent]);
    const answer = randomBytes(size);
    send(answer, remote);
    const received = await page.evaluate(async () => {
      const { message } = await messages.next();
      return [message.byteLength, await digest(message)];
    });
    assert.deepEqual(received, [size, digest(answer)]);
  });
}

test('1,000 messages of several topics arrive once and in order at a plain peer, and back', async (t) => {
  const peer = await startDrivePeer(t);
  const { messages, send } = joinChat(peer.drive);
  const page = await openPage(t, peer.driveUrl, [peer.url]);
  await nextJoin(page);
  await page.evaluate(() => {
    const other = sockets.join('other');
    for (let number = 0; number < 1_000; number += 1) {
      other.send(1, `for nobody ${number}`);
      chat.send(1, String(number));
    }
  });
  const received = await messages.take(1_000);
  assert.deepEqual(received.map(({ bytes }) => Number(bytes)), Array.from({ length: 1_000 }, (_, number) => number));
  for (let number = 0; number < 1_000; number += 1) send(Buffer.from(String(number)), received[0].peer);
  const back = await page.evaluate(async () => (await messages.take(1_000)).map(({ message }) => Number(text(message))));
  assert.deepEqual(back, Array.from({ length: 1_000 }, (_, number) => number));
});

test('a drive goes on replicating with another peer while pages talk to it', async (t) => {
  const peer = await startDrivePeer(t);
  const { messages } = joinChat(peer.drive);
  const copy = await openCopy(t, peer.drive.key);
  const page = await openPage(t, peer.driveUrl, [peer.url]);
  await nextJoin(page);
  const ours = copy.replicate(true);
  const theirs = peer.drive.replicate(false);
  ours.pipe(theirs).pipe(ours);
  for (let number = 0; number < 20; number += 1) {
    await page.evaluate((number) => { chat.send(1, String(number)) }, number);
    assert.equal((await messages.next()).bytes.toString(), String(number));
    await peer.drive.put(`/file-${number}`, randomBytes(10_000));
    assert.deepEqual(await readFile(copy, `/file-${number}`), await peer.drive.get(`/file-${number}`));
  }
});

test('a peer that looks for blocks is not held up by a page that has none', async (t) => {
  const origin = await startDrivePeer(t);
  await origin.drive.put('/file', randomBytes(50_000));
  const copy = await openCopy(t, origin.drive.key);
  const server = await serve(t, (isInitiator) => copy.replicate(isInitiator));
  const page = await openPage(t, driveUrl(copy), [`ws://127.0.0.1:${server.address().port}/`]);
  await nextJoin(page);
  const ours = copy.replicate(true);
  const theirs = origin.drive.replicate(false);
  ours.pipe(theirs).pipe(ours);
  assert.deepEqual(await readFile(copy, '/file'), await origin.drive.get('/file'));
  assert.deepEqual(await page.evaluate(() => peerEvents.peers), [1]);
});

test('a corestore that opens several drives on the stream is a peer on the one that the page has', async (t) => {
  const peer = await startDrivePeer(t, { drives: 3 });
  await peer.drives[2].put('/file', 'something');
  const { messages, send } = joinChat(peer.drives[1]);
  const other = joinChat(peer.drives[2]);
  const page = await openPage(t, driveUrl(peer.drives[1]), [peer.url]);
  await nextJoin(page);
  await page.evaluate(() => { chat.send(1, 'for the second drive') });
  const { bytes, peer: remote } = await messages.next();
  assert.equal(bytes.toString(), 'for the second drive');
  send(Buffer.from('from the second drive'), remote);
  assert.equal(await nextText(page), 'from the second drive');
  assert.deepEqual(other.messages.rest, []);
  const copy = await openCopy(t, peer.drives[2].key);
  const ours = copy.replicate(true);
  const theirs = peer.store.replicate(false);
  ours.pipe(theirs).pipe(ours);
  assert.equal((await readFile(copy, '/file')).toString(), 'something');
});

test('two pages on one drive peer do not see each other, and it sees both', async (t) => {
  const peer = await startDrivePeer(t);
  const { messages } = joinChat(peer.drive);
  const pages = [await openPage(t, peer.driveUrl, [peer.url]), await openPage(t, peer.driveUrl, [peer.url])];
  for (const [index, page] of pages.entries()) {
    assert.equal(await nextJoin(page), 1);
    await page.evaluate((index) => { chat.send(1, `page ${index}`) }, index);
  }
  const texts = (await messages.take(2)).map(({ bytes }) => bytes.toString());
  assert.deepEqual(texts.sort(), ['page 0', 'page 1']);
  assert.equal(peer.drive.core.peers.length, 2);
});

test('a drive peer that does not have the drive open is no-drive, one that is none not-a-peer, and nothing no-peer', async (t) => {
  const peer = await startDrivePeer(t);
  const echo = new WebSocketServer({ host: '127.0.0.1', port: 0 });
  t.after(() => close(echo));
  echo.on('connection', (socket) => socket.on('message', (bytes) => socket.send(bytes)));
  const web = createServer((_, response) => response.end('hello')).listen(0, '127.0.0.1');
  t.after(() => web.close());
  await Promise.all([once(echo, 'listening'), once(web, 'listening')]);
  const at = (server) => `ws://127.0.0.1:${server.address().port}/`;
  const cases = [
    ['no-drive', peer.url, / does not have this drive open\. Open the drive in that process/],
    ['not-a-peer', at(echo), / is not a drive peer: .*\. Check the URL/],
    ['not-a-peer', at(web), / is not a drive peer\. Check the URL/],
    ['no-peer', 'ws://127.0.0.1:9/', /no drive peer answers at ws:\/\/127\.0\.0\.1:9\/\. Start the process/],
    ['bad-peer-url', 'ftp://127.0.0.1/', /"ftp:\/\/127\.0\.0\.1\/" cannot be used/],
  ];
  for (const [code, url, text] of cases) {
    const page = await openPerson(t, browser, new URL('/package.html', relay.url).href);
    page.expect(/WebSocket connection to/, /net::ERR/, /has been blocked by CORS policy/);
    await listen(page, { drive: `hyper://${'ab'.repeat(32)}`, peers: [url] });
    const error = await nextError(page);
    assert.deepEqual([error.code, error.url], [code, url]);
    assert.match(error.text, text);
  }
});
