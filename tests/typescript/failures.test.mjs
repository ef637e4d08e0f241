// What becomes of a PeerSockets that can't be started, crashes or is closed, with the built package and its WebAssembly.

import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { readFile } from 'node:fs/promises';
import { before, test } from 'node:test';
import { PeerSockets, PeerSocketsError, install, ready } from '../../target/package/pkg-modules/index.js';
import * as glue from '../../target/package/pkg-modules/wasm/glue.js';

const wasm = await readFile(new URL('../../pkg/dist/peersockets.wasm', import.meta.url));
const options = { wasm, relays: [], drive: 'ab'.repeat(32) };
const text = new TextDecoder();

before(() => ready({ wasm }));

/** The errors that reach this target from now on. */
function collectErrors(target) {
  const errors = [];
  target.addEventListener('error', (event) => errors.push({ ...event }));
  return errors;
}

/** What a person is told who sent messages that came back. */
function returned(errors) {
  return errors.map(({ code, peerId, message }) => [code, peerId, text.decode(message)]);
}

/** Resolves when all that was said in microtasks so far has been said. */
const settled = () => new Promise((resolve) => setImmediate(resolve));

/** Makes a method of the glue trap from its `from`th call on; a real trap can't be had on demand. */
function trap(context, method, from = 1) {
  const { prototype } = glue.Topic;
  const original = prototype[method];
  let calls = 0;
  context.mock.method(prototype, method, function (...given) {
    calls += 1;
    if (calls >= from) throw new WebAssembly.RuntimeError('unreachable');
    return original.apply(this, given);
  });
}

/** Counts what is freed from now on, by class. */
function countFreed(context) {
  const methods = Object.entries({ PeerSockets: glue.PeerSockets, Topic: glue.Topic, PeerEvents: glue.PeerEvents }).map(
    ([name, { prototype }]) => [name, context.mock.method(prototype, 'free')],
  );
  return () => Object.fromEntries(methods.map(([name, { mock }]) => [name, mock.callCount()]));
}

test('a_constructor_that_throws_in_rust_is_a_crash_and_what_waited_comes_back', async (context) => {
  context.mock.method(crypto, 'getRandomValues', () => { throw new Error('no randomness'); });
  const sockets = new PeerSockets(options);
  const own = collectErrors(sockets);
  const topic = sockets.join('chat');
  const lost = collectErrors(topic);
  topic.send(1, 'early');
  await assert.rejects(sockets.ready, (error) => error instanceof PeerSocketsError && error.code === 'crashed' && /no randomness/.test(error.reason));
  await settled();
  assert.equal(sockets.state, 'failed');
  assert.deepEqual(own.map(({ code }) => code), ['crashed']);
  assert.deepEqual(returned(lost), [['crashed', 1, 'early']]);
});

test('a_crash_while_the_calls_that_waited_are_made_gives_back_the_message_that_met_it_and_all_after_it', async (context) => {
  trap(context, 'send', 2);
  const sockets = new PeerSockets(options);
  const own = collectErrors(sockets);
  const topic = sockets.join('chat');
  const lost = collectErrors(topic);
  for (const [index, message] of ['taken', 'in the crash', 'behind it'].entries()) topic.send(index + 1, message);
  await assert.rejects(sockets.ready, { code: 'crashed' });
  topic.send(4, 'late');
  await settled();
  assert.equal(sockets.state, 'failed');
  assert.deepEqual(own.map(({ code }) => code), ['crashed']);
  assert.deepEqual(returned(lost), [['crashed', 2, 'in the crash'], ['crashed', 3, 'behind it'], ['crashed', 4, 'late']]);
});

test('a_crash_in_a_call_is_one_error_and_does_not_throw', async (context) => {
  const sockets = new PeerSockets(options);
  const topic = sockets.join('chat');
  const own = collectErrors(sockets);
  const lost = collectErrors(topic);
  await sockets.ready;
  await settled();
  const states = [];
  sockets.addEventListener('state', ({ state }) => states.push(state));
  trap(context, 'send');
  assert.equal(topic.send(1, 'unlucky'), undefined);
  await settled();
  assert.deepEqual(states, ['failed']);
  assert.deepEqual(own.map(({ code }) => code), ['no-relay', 'crashed']);
  assert.deepEqual(returned(lost), [['crashed', 1, 'unlucky']]);
  sockets.close();
  topic.send(1, 'after close');
  await settled();
  assert.equal(lost.length, 1);
});

test('options_of_null_are_none', async (context) => {
  const warn = context.mock.method(console, 'warn', () => {});
  await ready(null);
  const [made, installed, again] = [new PeerSockets(null), install(null), install(null)];
  assert.equal(again, installed);
  for (const sockets of [made, installed]) {
    // There is no page here to take one from.
    await assert.rejects(sockets.ready, { code: 'bad-drive', reason: /^no drive is named, / });
    await settled();
    assert.equal(sockets.state, 'failed');
    sockets.close();
    sockets.close();
  }
  delete globalThis.beaker;
  assert.ok(warn.mock.calls.every(({ arguments: [line] }) => !line.includes('already-installed')));
});

const thrower = () => { throw new Error('boo'); };
const revoked = Proxy.revocable({}, {});
revoked.revoke();
const revokedList = Proxy.revocable([], {});
revokedList.revoke();

for (const [what, hostile] of [
  ['a getter that throws', { ...options, get drive() { return thrower(); } }],
  ['a getter that throws what is no text', { ...options, get wasm() { throw Object.create(null); } }],
  ['a getter that throws a proxy', { ...options, get wasm() { throw revoked.proxy; } }],
  ['a proxy', new Proxy({}, { get: thrower })],
  ['a proxy that was revoked', revoked.proxy],
  ['a list that was revoked', { ...options, relays: revokedList.proxy }],
  ['a list with a getter that throws', { ...options, relays: Object.defineProperty([''], 0, { get: thrower }) }],
]) {
  test(`options_that_can_not_be_read_fail_it_with_one_error: ${what}`, async () => {
    const sockets = new PeerSockets(hostile);
    const own = collectErrors(sockets);
    const topic = sockets.join('chat');
    const lost = collectErrors(topic);
    topic.send(1, 'early');
    await assert.rejects(sockets.ready, { name: 'PeerSocketsError', code: 'bad-options' });
    await settled();
    assert.equal(sockets.state, 'failed');
    assert.deepEqual(own.map(({ code }) => code), ['bad-options']);
    assert.deepEqual(returned(lost), [['bad-options', 1, 'early']]);
    await assert.rejects(ready(hostile), { code: 'bad-options' });
  });
}

test('each_option_is_read_once', async () => {
  const read = [];
  const sockets = new PeerSockets(new Proxy(options, { get: (target, key) => (read.push(key), target[key]) }));
  collectErrors(sockets);
  await sockets.ready;
  assert.deepEqual(read.sort(), ['direct', 'directPeers', 'drive', 'iceServers', 'peers', 'relays', 'sessionTime', 'wasm']);
  sockets.close();
});

test('a_list_of_relays_may_change_after_it_was_given', async () => {
  const relays = ['ftp://first/'];
  const sockets = new PeerSockets({ ...options, relays });
  const own = collectErrors(sockets);
  relays.push('ftp://second/');
  await sockets.ready;
  await settled();
  assert.deepEqual(own.map(({ code, url }) => [code, url]), [['bad-relay-url', 'ftp://first/']]);
  sockets.close();
});

for (const [what, beaker] of [
  ['throws when it is read', new Proxy({}, { get: thrower, ownKeys: thrower, defineProperty: thrower })],
  ['has a peersockets that throws when it is looked at', { peersockets: new Proxy({}, { get: thrower, getPrototypeOf: thrower }) }],
  ['has a peersockets that can not be closed', { peersockets: { close: thrower } }],
]) {
  test(`install_never_throws: the page's beaker ${what}`, async (context) => {
    context.mock.method(console, 'warn', () => {});
    for (const given of [null, revoked.proxy, options, { ...options, force: true }]) {
      globalThis.beaker = beaker;
      install(given);
    }
    delete globalThis.beaker;
    await settled();
  });
}

test('what_is_closed_is_freed', async (context) => {
  const freed = countFreed(context);
  const sockets = new PeerSockets(options);
  collectErrors(sockets);
  const topics = [sockets.join('one'), sockets.join('two')];
  const watches = [sockets.watch(), sockets.watch()];
  await sockets.ready;
  topics[0].close();
  watches[0].close();
  await settled();
  assert.deepEqual(freed(), { PeerSockets: 0, Topic: 1, PeerEvents: 1 });
  sockets.close();
  await settled();
  assert.deepEqual(freed(), { PeerSockets: 1, Topic: 2, PeerEvents: 2 });
  for (const closed of [...topics, ...watches]) closed.close();
  topics[1].send(1, 'nobody');
  await settled();
  assert.deepEqual(freed(), { PeerSockets: 1, Topic: 2, PeerEvents: 2 });
});

test('a_peersockets_may_be_closed_and_freed_from_within_an_event_that_rust_delivers', async (context) => {
  const freed = countFreed(context);
  const sockets = new PeerSockets({ ...options, relays: ['ftp://relay.example/', 'ftp://another.example/'] });
  sockets.join('chat');
  const codes = [];
  sockets.addEventListener('error', ({ code }) => {
    codes.push(code);
    sockets.close();
  });
  await sockets.ready;
  await settled();
  assert.deepEqual(codes, ['bad-relay-url']);
  assert.deepEqual(freed(), { PeerSockets: 1, Topic: 1, PeerEvents: 0 });
});

test('after_a_crash_nothing_is_freed', async (context) => {
  const freed = countFreed(context);
  const sockets = new PeerSockets(options);
  collectErrors(sockets);
  const [closed, crashing, kept] = [sockets.join('one'), sockets.join('two'), sockets.join('three')];
  await sockets.ready;
  trap(context, 'send');
  closed.close();
  crashing.send(1, 'x');
  kept.close();
  sockets.close();
  await settled();
  assert.deepEqual(freed(), { PeerSockets: 0, Topic: 0, PeerEvents: 0 });
});

test('the_page_is_followed_until_it_was_closed_or_has_failed', async (context) => {
  const page = Object.assign(new EventTarget(), { readyState: 'complete', visibilityState: 'visible', baseURI: '', querySelectorAll: () => [] });
  const window = new EventTarget();
  Object.assign(globalThis, { addEventListener: window.addEventListener.bind(window), document: page });
  context.after(() => {
    delete globalThis.addEventListener;
    delete globalThis.document;
  });
  const count = () => ['pagehide', 'pageshow', 'offline', 'online'].flatMap((type) => getEventListeners(window, type)).length
    + getEventListeners(document, 'visibilitychange').length;

  const closed = new PeerSockets(options);
  collectErrors(closed);
  assert.equal(count(), 5);
  closed.close();
  assert.equal(count(), 0);

  const unreadable = new PeerSockets(revoked.proxy);
  collectErrors(unreadable);
  assert.equal(count(), 5);
  await unreadable.ready.catch(() => {});
  assert.equal(count(), 0);

  const crashed = new PeerSockets(options);
  collectErrors(crashed);
  const topic = crashed.join('chat');
  await crashed.ready;
  assert.equal(count(), 5);
  trap(context, 'send');
  topic.send(1, 'x');
  await settled();
  assert.equal(count(), 0);
});

test('a_watch_that_is_refused_says_so_itself_else_the_object_does', async () => {
  const sockets = new PeerSockets(options);
  const own = collectErrors(sockets);
  await sockets.ready;
  await settled();
  assert.deepEqual(own.splice(0).map(({ code }) => code), ['no-relay']);
  for (let count = 0; count < 4_096; count += 1) sockets.watch();
  const heard = collectErrors(sockets.watch());
  await settled();
  assert.deepEqual(heard.map(({ code }) => code), ['too-many-handles']);
  assert.deepEqual(own, []);
  sockets.watch();
  sockets.watch().close();
  await settled();
  assert.deepEqual(own.map(({ code }) => code), ['too-many-handles', 'too-many-handles']);
  assert.equal(heard.length, 1);
  sockets.close();
});
