// What becomes of a process with a drive when the WebAssembly traps, and of what it holds outside.

import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import SecretStream from '@hyperswarm/secret-stream';
import { startRelay } from '../e2e/support/relay.mjs';
import { openCopy, openDrive, openStore } from './support/drive-peer.mjs';
import { join, run, startNative } from './support/native.mjs';
import { patiently, until } from './support/patience.mjs';

const relay = await startRelay();

/**
 * Ends the next step of Rust's that is taken there as a trap does: a real one can't be had on demand, and whatever is thrown through
 * Rust leaves it as one does.
 */
const TRAP = `
  Error.stackTraceLimit = 100;
  const trap = (where) => {
    const now = performance.now.bind(performance);
    performance.now = () => {
      const { stack } = new Error();
      if (!stack.includes('wasm') || !where.test(stack)) return now();
      performance.now = now;
      throw new WebAssembly.RuntimeError('unreachable');
    };
  };
  const errors = [];
  const hear = (target) => target.addEventListener('error', ({ code }) => errors.push(code));
`;

for (const [what, where] of [['on hearing a relay', /dispatchEvent/], ['when time is up', /listOnTimeout/], ['in a microtask', /runMicrotasks|processTicksAndRejections/]]) {
  test(`a trap ${what} is one error, the process can connect anew, and it ends`, async (t) => {
    const near = startNative(t, await openDrive(await openStore(t), 0), { relays: relay.relayUrl });
    const ended = run(t, `
      ${TRAP}
      const sockets = connect(drive, { relays: '${relay.relayUrl}' });
      hear(sockets);
      await next(sockets.watch(), 'join');
      const topic = sockets.join('chat');
      hear(topic);
      trap(${where});
      // It is answered, and before that a microtask writes it.
      topic.send(1, 'hello');
      while (sockets.state !== 'failed') await next(sockets, 'state');
      topic.send(1, 'too late');
      sockets.stats();
      sockets.join('another').close();
      await new Promise((resolve) => setImmediate(resolve));
      console.log(errors.join());
      const again = connect(drive, { relays: '${relay.relayUrl}' });
      hear(again);
      await next(again.watch(), 'join');
      await again.close();
      await sockets.close();
      console.log(sockets.state, again.state, errors.length);
    `, near.drive.key.toString('hex'));
    near.chat.addEventListener('message', ({ peerId }) => near.chat.send(peerId, 'hello yourself'));
    assert.equal(await ended, 'crashed,crashed\nclosed closed 2\n');
    await near.joins.take(2);
    await near.leaves.take(2);
    assert.deepEqual(near.errors.rest, []);
  });
}

test('a trap while the last words go out holds close() and the process no longer than they do', async (t) => {
  const printed = await run(t, `
    ${TRAP}
    const sockets = connect(drive, { relays: '${relay.relayUrl}' });
    hear(sockets);
    while (sockets.state !== 'ready') await next(sockets, 'state');
    trap(/sockets\.close|close/);
    await sockets.close();
    console.log(sockets.state, errors.join());
  `);
  assert.equal(printed, 'closed \n');
});

test('a stream that has no key is a bad stream and no crash, and so is one whose handshake rejects', async (t) => {
  const near = startNative(t, await openDrive(await openStore(t), 0), { relays: relay.relayUrl });
  await until(near.sockets, 'ready');
  for (const [given, reason] of [
    [{ opened: Promise.resolve(true), remotePublicKey: null, handshakeHash: Buffer.alloc(64) }, /has no remotePublicKey/],
    [{ opened: Promise.resolve(true), remotePublicKey: Buffer.alloc(32), handshakeHash: null }, /no handshakeHash/],
    [{ opened: Promise.reject(new Error('mine')), remotePublicKey: null, handshakeHash: null }, /handshake failed/],
  ]) {
    const stream = Object.assign(new PassThrough(), { isInitiator: true, ...given });
    stream.noiseStream = stream;
    stream.userData = null;
    assert.equal(near.sockets.handle(stream, { replicate: false }), stream);
    const { code, error } = await near.errors.next();
    assert.equal(code, 'bad-stream');
    assert.match(error.message, reason);
  }
  assert.equal(near.sockets.state, 'ready');
});

test('a stream without a mux that breaks before the WebAssembly is there ends nobody', async (t) => {
  const drive = await openDrive(await openStore(t), 0);
  const near = startNative(t, drive);
  assert.equal(near.sockets.state, 'loading');
  const stream = new SecretStream(true);
  near.sockets.handle(stream);
  const closed = new Promise((resolve) => stream.on('close', resolve));
  // Without a listener of ours it is an uncaught exception, which fails this test.
  stream.destroy(new Error('the cable is out'));
  await patiently('end', closed);
  await near.sockets.ready;
  assert.equal(stream.listenerCount('error'), 0);
  assert.deepEqual(near.errors.rest, []);
});

test('a stream that another one of the same drive has is refused, until that one closes', async (t) => {
  const drive = await openDrive(await openStore(t), 0);
  const copy = await openCopy(t, drive.key);
  const [first, second, far] = [drive, drive, copy].map((drive) => startNative(t, drive));
  const [stream] = join(t, first.sockets.handle(drive.replicate(true)), far.sockets.handle(copy.replicate(false)));
  await Promise.all([first.joins.next(), far.joins.next()]);
  second.sockets.handle(stream);
  const { code, error } = await second.errors.next();
  assert.equal(code, 'bad-stream');
  assert.match(error.message, /another DriveSockets of this drive has the stream/);
  assert.deepEqual([second.joins.rest, second.sockets.stats().peers], [[], []]);
  first.chat.send(1, 'still mine');
  assert.equal(await far.nextText(), 'still mine');
  await first.sockets.close();
  await far.leaves.next();
  second.sockets.handle(stream);
  second.chat.send((await second.joins.next()).peerId, 'mine now');
  assert.equal(await far.nextText(), 'mine now');
});
