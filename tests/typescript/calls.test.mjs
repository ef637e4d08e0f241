// Calls before the WebAssembly is there, and errors, with the built package and its WebAssembly; no relay, so no peer.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { PeerSockets, PeerSocketsError, ready } from '../../pkg/dist/index.js';

const wasm = await readFile(new URL('../../pkg/dist/peersockets.wasm', import.meta.url));
const options = { wasm, relays: [], drive: 'ab'.repeat(32) };
const text = new TextDecoder();
const nextError = (target) => new Promise((resolve) => target.addEventListener('error', resolve, { once: true }));

/** A PeerSockets whose own errors stay off the console. */
function start() {
  const sockets = new PeerSockets(options);
  collectErrors(sockets);
  return sockets;
}

/** The errors that reach this target from now on. */
function collectErrors(target) {
  const errors = [];
  target.addEventListener('error', (event) => errors.push({ ...event }));
  return errors;
}

/** Resolves when all that was said in microtasks so far has been said. */
const settled = () => new Promise((resolve) => setImmediate(resolve));

// The first test, because a WebAssembly once loaded stays loaded.
test('messages_that_wait_for_a_wasm_that_never_loads_come_back', async () => {
  const sockets = new PeerSockets({ ...options, wasm: Uint8Array.of(1, 2, 3) });
  const own = collectErrors(sockets);
  const topic = sockets.join('chat');
  const lost = collectErrors(topic);
  topic.send(1, 'early');
  await assert.rejects(sockets.ready, (error) => error instanceof PeerSocketsError && error.code === 'wasm-load-failed');
  topic.send(2, 'late');
  await settled();
  assert.equal(sockets.state, 'failed');
  assert.deepEqual(own.map(({ code }) => code), ['wasm-load-failed']);
  assert.deepEqual(
    lost.map(({ code, topic, peerId, message }) => [code, topic, peerId, text.decode(message)]),
    [['wasm-load-failed', 'chat', 1, 'early'], ['wasm-load-failed', 'chat', 2, 'late']],
  );
});

test('a_wasm_that_failed_to_load_is_tried_again', async () => {
  await ready({ wasm });
  await start().ready;
});

test('send_returns_undefined_and_never_throws_and_the_topic_goes_on', async () => {
  const sockets = start();
  const topic = sockets.join('chat');
  const errors = collectErrors(topic);
  const given = [{ a: 1 }, null, undefined, 7, [1, 2], Symbol('x')];
  for (const message of given) assert.equal(topic.send(1, message), undefined);
  for (const message of ['text', new DataView(new ArrayBuffer(2)), new Float32Array(1), new ArrayBuffer(1)]) assert.equal(topic.send(1, message), undefined);
  for (const peerId of [NaN, -1, 1.5, {}, undefined, Symbol('x'), 99]) assert.equal(topic.send(peerId, 'x'), undefined);
  await sockets.ready;
  await settled();
  assert.deepEqual(errors.map(({ code }) => code), given.map(() => 'bad-message'));
  assert.deepEqual(errors.map(({ message }) => message), given);
  sockets.close();
});

test('a_message_too_large_is_refused_with_its_bytes', async () => {
  const sockets = start();
  await sockets.ready;
  const topic = sockets.join('chat');
  topic.send(3, new Uint8Array(8_388_608));
  const { code, peerId, message } = await nextError(topic);
  assert.deepEqual([code, peerId, message.byteLength], ['message-too-large', 3, 8_388_608]);
  sockets.close();
});

test('at_most_256_messages_wait_for_the_wasm', async () => {
  const sockets = start();
  const topic = sockets.join('chat');
  const errors = collectErrors(topic);
  for (let number = 0; number <= 256; number += 1) topic.send(1, Uint8Array.of(number));
  await settled();
  assert.deepEqual(errors.map(({ code, peerId, message }) => [code, peerId, message[0]]), [['queue-full', 1, 256 & 255]]);
  sockets.close();
});

test('at_most_one_mebibyte_waits_for_the_wasm', async () => {
  const sockets = start();
  const topic = sockets.join('chat');
  const errors = collectErrors(topic);
  topic.send(1, new Uint8Array(1_048_575));
  topic.send(1, 'no');
  topic.send(1, '!');
  topic.send(1, '');
  await settled();
  assert.deepEqual(errors.map(({ code, message }) => [code, text.decode(message)]), [['queue-full', 'no']]);
  sockets.close();
});

test('what_waits_for_the_wasm_is_counted_for_each_peer', async () => {
  const sockets = start();
  const topic = sockets.join('chat');
  topic.send(1, 'one');
  sockets.join('file').send(2, new Uint8Array(1_000));
  const amounts = () => [topic.bufferedAmount(1), topic.bufferedAmount('2'), topic.bufferedAmount(3), topic.bufferedAmount(), topic.bufferedAmount('x')];
  assert.deepEqual(amounts(), [35, 1_032, 0, 1_067, 0]);
  await sockets.ready;
  assert.deepEqual(amounts(), [35, 1_032, 0, 1_067, 0], 'no relay was reached yet');
  sockets.close();
  assert.deepEqual(amounts(), [0, 0, 0, 0, 0]);
});

test('before_the_wasm_as_many_handles_can_be_open_as_after_and_the_error_is_the_same', async () => {
  const [early, late] = [start(), start()];
  const open = (sockets) => {
    for (let count = 0; count < 2_048; count += 1) {
      sockets.join('chat');
      sockets.watch();
    }
    return [collectErrors(sockets.join('chat')), collectErrors(sockets.watch())];
  };
  const before = open(early);
  await Promise.all([early.ready, late.ready]);
  const after = open(late);
  await settled();
  const said = (errors) => errors.map((own) => own.map(({ code, reason, topic }) => ({ code, reason, topic })));
  assert.deepEqual(said(before).map((own) => own.length), [1, 1]);
  assert.deepEqual(said(before), said(after));
  early.close();
  late.close();
});

test('what_is_closed_before_the_wasm_is_there_makes_room', async () => {
  const sockets = start();
  const own = collectErrors(sockets);
  for (let count = 0; count < 10_000; count += 1) {
    sockets.join('chat').close();
    sockets.watch().close();
  }
  const talkers = Array.from({ length: 256 }, () => sockets.join('chat'));
  for (const topic of talkers) {
    topic.send(1, 'x');
    topic.close();
  }
  for (let count = 0; count < 4_096; count += 1) sockets.join('chat');
  await sockets.ready;
  await settled();
  assert.deepEqual(own.map(({ code }) => code), ['no-relay']);
  sockets.close();
});

test('a_message_given_back_is_a_copy_but_of_more_than_64_mebibytes_in_one_turn_it_is_what_was_given', async () => {
  const sockets = start();
  await sockets.ready;
  const topic = sockets.join('chat');
  const errors = collectErrors(topic);
  for (let turn = 0; turn < 2; turn += 1) {
    const given = new Uint8Array(32 * 1024 * 1024).fill(7);
    for (let count = 0; count < 3; count += 1) topic.send(1, given);
    given.fill(9);
    await settled();
    const messages = errors.splice(0).map(({ message }) => message);
    assert.deepEqual(messages.map((message) => [message === given, message[0], message.length]), [[false, 7, given.length], [false, 7, given.length], [true, 9, given.length]]);
  }
  sockets.close();
});

test('what_can_not_be_copied_for_want_of_memory_comes_back_itself', async (context) => {
  const sockets = start();
  await sockets.ready;
  const topic = sockets.join('chat');
  context.mock.method(Uint8Array.prototype, 'slice', () => { throw new RangeError('Array buffer allocation failed'); });
  const given = new Uint8Array(8_388_608);
  topic.send(1, given);
  const { code, message } = await nextError(topic);
  assert.deepEqual([code, message === given], ['message-too-large', true]);
  sockets.close();
});

test('a_topic_that_can_not_be_a_string_is_an_error_and_no_exception', async () => {
  const sockets = start();
  assert.equal((await nextError(sockets.join(Object.create(null)))).code, 'bad-topic');
  assert.equal(sockets.join(Symbol('x')).name, 'Symbol(x)');
  assert.equal(sockets.join().name, 'undefined');
  sockets.close();
});

test('an_error_goes_to_the_topic_else_to_the_object_else_to_the_console_once', async (context) => {
  const warn = context.mock.method(console, 'warn', () => {});
  const lines = () => warn.mock.calls.filter(({ arguments: [line] }) => line.includes('bad-message')).length;
  const sockets = new PeerSockets(options);
  const topic = sockets.join('chat');
  const fail = async () => {
    topic.send(1, null);
    await settled();
  };
  await fail();
  await fail();
  assert.equal(lines(), 1);
  const own = collectErrors(sockets);
  await fail();
  assert.equal(own.at(-1).code, 'bad-message');
  const before = own.length;
  const heard = collectErrors(topic);
  await fail();
  assert.equal(heard.length, 1);
  assert.equal(own.length, before);
  assert.equal(lines(), 1);
  sockets.close();
});

test('error_listeners_keep_the_semantics_of_the_dom', async () => {
  const sockets = start();
  const topic = sockets.join('chat');
  const calls = [];
  const listener = function () { calls.push(this === topic ? 'function' : 'wrong this'); };
  const object = { handleEvent() { calls.push(this === object ? 'object' : 'wrong this'); } };
  const abort = new AbortController();
  const fail = async () => {
    calls.length = 0;
    topic.send(1, null);
    await settled();
    return [...calls];
  };
  topic.addEventListener('error', listener);
  topic.addEventListener('error', listener);
  topic.addEventListener('error', object, { once: true });
  topic.addEventListener('error', () => calls.push('signal'), { signal: abort.signal });
  assert.deepEqual(await fail(), ['function', 'object', 'signal']);
  abort.abort();
  assert.deepEqual(await fail(), ['function']);
  topic.removeEventListener('error', listener);
  assert.deepEqual(await fail(), []);
  sockets.close();
});

test('after_close_nothing_is_sent_and_nothing_said', async () => {
  const sockets = new PeerSockets(options);
  const own = collectErrors(sockets);
  const topic = sockets.join('chat');
  const heard = collectErrors(topic);
  await sockets.ready;
  topic.close();
  topic.close();
  topic.send(1, null);
  topic.send(1, 'x');
  sockets.close();
  sockets.close();
  sockets.join('after').send(1, null);
  sockets.watch().close();
  await settled();
  assert.deepEqual(heard, []);
  assert.deepEqual(own.map(({ code }) => code), ['no-relay']);
  assert.equal(sockets.state, 'closed');
});

test('importing_the_polyfill_outside_a_page_installs_nothing', async () => {
  await import('../../pkg/dist/polyfill.js');
  assert.equal('beaker' in globalThis, false);
});
