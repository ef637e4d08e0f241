// How long a process with a drive lives, and what it is told of mistakes.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import crypto from 'hypercore-crypto';
import * as entry from '../../pkg/dist/hyperdrive.js';
import { startRelay } from '../e2e/support/relay.mjs';
import { openCopy, openDrive, openStore } from './support/drive-peer.mjs';
import { arrivals, run, startNative } from './support/native.mjs';
import { patiently, until } from './support/patience.mjs';

const relay = await startRelay();
const nobody = 'ws://127.0.0.1:9/relay';
const root = fileURLToPath(new URL('../../', import.meta.url));

// The first test, because a WebAssembly once loaded stays loaded.
test('a wasm that is not there is an error with its address, and messages come back', async (t) => {
  const drive = await openDrive(await openStore(t), 0);
  const missing = new URL('file:///nowhere/peersockets-host.wasm');
  const sessions = drive.core.sessions.length;
  const { sockets, errors, chat } = startNative(t, drive, { wasm: missing });
  const returned = arrivals(chat, 'error');
  chat.send(1, 'do not lose me');
  await assert.rejects(sockets.ready, { code: 'wasm-load-failed', url: missing.href });
  assert.equal((await errors.next()).code, 'wasm-load-failed');
  const { code, message, peerId } = await returned.next();
  assert.deepEqual([code, new TextDecoder().decode(message), peerId], ['wasm-load-failed', 'do not lose me', 1]);
  assert.equal(sockets.state, 'failed');
  assert.equal(drive.core.sessions.length, sessions, 'it has given its session of the core back');
  assert.equal(drive.listenerCount('close'), 0);
});

test('what is no drive, or one that is closed, is an error event and never thrown', async (t) => {
  const closed = await openDrive(await openStore(t), 0);
  await closed.close();
  for (const [drive, reason] of [
    [undefined, /no Hyperdrive\. Give connect\(\) a Hyperdrive/], [null, /no Hyperdrive/], ['hyper://ab', /no Hyperdrive/], [{}, /no Hyperdrive/],
    [{ get ready() { throw new Error('mine') } }, /no Hyperdrive/], [closed, /the drive could not be opened: /],
  ]) {
    const { sockets, errors } = startNative(t, drive);
    sockets.handle({});
    await assert.rejects(sockets.ready, { code: 'bad-drive' });
    const events = [await errors.next(), await errors.next()];
    const bad = events.find(({ code }) => code === 'bad-drive');
    assert.match(bad.error.message, reason);
  }
});

test('what a process is told to do is for processes', async (t) => {
  const drive = await openDrive(await openStore(t), 0);
  for (const [given, options, text] of [
    [{}, {}, / Give connect\(\) a Hyperdrive that can be opened\. /],
    [drive, { keyPair: {} }, / A keyPair is an object whose secretKey is a Uint8Array of 64 bytes\.$/],
    [drive, { relays: ['/relay'] }, / Name at most 3 relays, each by .*, in the option relays\.$/],
    [drive, { relays: [nobody] }, / or name one that can be reached in the option relays; /],
  ]) {
    const { errors } = startNative(t, given, options);
    const { message } = (await errors.next()).error;
    assert.match(message, text);
    assert.doesNotMatch(message, /install\(|<meta|page/i);
  }
});

test('mistakes in the options are error events', async (t) => {
  const drive = await openDrive(await openStore(t), 0);
  for (const [options, code, text] of [
    [{ keyPair: { secretKey: 'secret' } }, 'bad-options', /keyPair\.secretKey is not 64 bytes/],
    [{ keyPair: {} }, 'bad-options', /keyPair\.secretKey is not 64 bytes/],
    [{ keyPair: null }, 'bad-options', /cannot be used/],
    [{ keyPair: { secretKey: new Uint8Array(64).fill(7) } }, 'bad-options', /keyPair\.secretKey is not a seed and the public key that belongs to it/],
    [{ keyPair: { ...crypto.keyPair(), publicKey: crypto.keyPair().publicKey } }, 'bad-options', /keyPair\.publicKey does not belong/],
    ['ws://relay.example', 'bad-options', /no object/],
    [{ relay: 'ws://relay.example' }, 'unknown-option', /"relay"/],
    [{ relays: ['/relay'] }, 'bad-relay-url', /"\/relay" cannot be used/],
    [{ relays: [nobody] }, 'no-relay', /no relay answers at ws:\/\/127\.0\.0\.1:9\/relay/],
  ]) {
    const { errors } = startNative(t, drive, options);
    const event = await errors.next();
    assert.equal(event.code, code, JSON.stringify(options));
    assert.match(event.error.message, text);
  }
});

test('a key pair is what npm makes of a seed, and peers know the process by it', async (t) => {
  for (const keyPair of [crypto.keyPair(), crypto.keyPair(Buffer.alloc(32, 7))]) {
    const { sockets } = startNative(t, await openDrive(await openStore(t), 0), { keyPair });
    await sockets.ready;
    assert.equal(sockets.stats().deviceKey, keyPair.publicKey.toString('hex'));
  }
});

test('every class that can be had can be made', () => {
  const events = /Event$|Error$/;
  const classes = Object.keys(entry).filter((name) => /^[A-Z]/.test(name) && !events.test(name));
  // Topics and watchers are made by what they belong to.
  assert.deepEqual(classes.sort(), ['DriveSockets', 'PeerEvents', 'Topic']);
});

for (const [what, wasm] of [
  ['a path where nothing is', '"/nope.wasm"'],
  ['a file: URL where nothing is', 'new URL("file:///nope.wasm")'],
  ['a request that nobody answers', 'new Request("http://127.0.0.1:9/nope.wasm")'],
  ['what names nothing', '7'],
]) {
  test(`wasm-load-failed: ${what}`, async (t) => {
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', `
      import { connect } from './pkg/dist/hyperdrive.js';
      const drive = { ready() {}, replicate() {}, once() {}, core: { session: () => ({ ready() {} }), constructor: { createProtocolStream() {} } } };
      const sockets = connect(drive, { wasm: ${wasm} });
      sockets.addEventListener('error', ({ code, error }) => console.log(sockets.state, code, error.message));
    `], { cwd: root, timeout: 60_000 });
    assert.match(stdout, /^failed wasm-load-failed the WebAssembly could not be read: .*in the option wasm/);
  });
}

test('what answers and is no relay is called so', async (t) => {
  const web = createServer((_, response) => response.end('hello')).listen(0, '127.0.0.1');
  t.after(() => web.close());
  await once(web, 'listening');
  const { errors } = startNative(t, await openDrive(await openStore(t), 0), { relays: `ws://127.0.0.1:${web.address().port}/relay` });
  assert.equal((await errors.next()).code, 'not-a-relay');
});

test('nobody is followed to where he redirects', async (t) => {
  const asked = [];
  const inside = createServer((request, response) => {
    asked.push(request.url);
    response.end();
  }).listen(0, '127.0.0.1');
  const outside = createServer((_, response) => response.writeHead(302, { location: `http://127.0.0.1:${inside.address().port}/private` }).end());
  outside.listen(0, '127.0.0.1');
  t.after(() => [inside, outside].forEach((server) => server.close()));
  await Promise.all([inside, outside].map((server) => once(server, 'listening')));
  const { errors } = startNative(t, await openDrive(await openStore(t), 0), { relays: `ws://127.0.0.1:${outside.address().port}/relay` });
  assert.equal((await errors.next()).code, 'not-a-relay');
  assert.deepEqual(asked, []);
});

test('a relay may be named by its host alone', async (t) => {
  const { sockets } = startNative(t, await openDrive(await openStore(t), 0), { relays: new URL(relay.url).host });
  await until(sockets, 'ready');
  assert.deepEqual(sockets.stats().relays.map(({ url }) => url), [relay.relayUrl]);
});

test('an open one keeps the process running, and a closed one lets it end', async (t) => {
  const drive = await openDrive(await openStore(t), 0);
  const native = startNative(t, drive, { relays: relay.relayUrl });
  const ended = run(t, `
    const sockets = connect(drive, { relays: '${relay.relayUrl}' });
    const topic = sockets.join('chat');
    const { message, peerId } = await next(topic, 'message');
    console.log(new TextDecoder().decode(message));
    topic.send(peerId, 'the end');
    sockets.close();
  `, drive.key.toString('hex'));
  const { peerId } = await native.joins.next();
  native.chat.send(peerId, 'end now');
  assert.equal(await native.nextText(), 'the end');
  await native.leaves.next();
  assert.equal(await ended, 'end now\n');
});

test('one that is closed lets the process end wherever it stood', async (t) => {
  for (const relays of [[], [relay.relayUrl], [nobody], [relay.url.replace('http', 'ws')]]) {
    const options = JSON.stringify({ relays });
    assert.equal(await run(t, `await connect(drive, ${options}).close(); console.log('closed at once')`), 'closed at once\n');
    const program = `
      const sockets = connect(drive, ${options});
      sockets.addEventListener('error', () => {});
      await sockets.ready;
      while (!/ready|offline/.test(sockets.state)) await next(sockets, 'state');
      await sockets.close();
      console.log('closed');
    `;
    assert.equal(await run(t, program), 'closed\n', options);
  }
});

test('closing the drive closes its sockets', async (t) => {
  const drive = await openDrive(await openStore(t), 0);
  const native = startNative(t, drive, { relays: relay.relayUrl });
  const printed = await run(t, `
    const sockets = connect(drive, { relays: '${relay.relayUrl}' });
    await next(sockets.watch(), 'join');
    const closed = next(sockets, 'state');
    await drive.close();
    await closed;
    console.log(sockets.state);
  `, drive.key.toString('hex'));
  assert.equal(printed, 'closed\n');
  await native.joins.next();
  await native.leaves.next();
});

test('a clock that calls back is no crash', async (t) => {
  const printed = await run(t, `
    let sockets;
    let isInside = false;
    let calls = 0;
    const now = performance.now.bind(performance);
    performance.now = () => {
      if (!isInside && sockets) {
        isInside = true;
        calls += 1;
        sockets.stats();
        isInside = false;
      }
      return now();
    };
    sockets = connect(drive, { relays: '${relay.relayUrl}' });
    sockets.addEventListener('error', ({ code }) => console.log(code));
    while (!/ready|failed/.test(sockets.state)) await next(sockets, 'state');
    console.log(sockets.state, calls > 0);
    await sockets.close();
  `);
  assert.equal(printed, 'ready true\n');
});

test('what npm throws ends the circuit that it is about, and nothing else', async (t) => {
  const drive = await openDrive(await openStore(t), 0);
  const Hypercore = drive.core.constructor;
  const { createProtocolStream } = Hypercore;
  t.after(() => Object.assign(Hypercore, { createProtocolStream }));
  const thrown = new Promise((resolve) => {
    Hypercore.createProtocolStream = () => {
      resolve();
      throw new Error('no stream today');
    };
  });
  const [near, far] = [drive, await openCopy(t, drive.key)].map((drive) => startNative(t, drive, { relays: relay.relayUrl }));
  await patiently('attempt', thrown);
  Object.assign(Hypercore, { createProtocolStream });
  near.chat.send((await near.joins.next()).peerId, 'at last');
  assert.equal(await far.nextText(), 'at last');
  assert.deepEqual([near.errors.rest, far.errors.rest], [[], []]);
});
