// What may be sent, of the built package in pkg/.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runInNewContext } from 'node:vm';
import { LONGEST, toBytes } from '../../target/package/pkg-modules/message.js';
import { parsePeerId } from '../../target/package/pkg-modules/peer-id.js';

const bytes = (message) => Array.from(toBytes(message));

test('a_string_is_sent_as_utf_8', () => assert.deepEqual(bytes('é\u{1f600}'), [0xc3, 0xa9, 0xf0, 0x9f, 0x98, 0x80]));

test('empty_messages_are_legal', () => {
  for (const message of ['', new Uint8Array(), new ArrayBuffer(0), new DataView(new ArrayBuffer(3), 3)]) assert.deepEqual(bytes(message), []);
});

test('a_buffer_is_sent_as_its_bytes', () => {
  assert.deepEqual(bytes(Uint8Array.of(1, 2).buffer), [1, 2]);
  assert.deepEqual(bytes(new SharedArrayBuffer(2)), [0, 0]);
});

test('a_view_is_sent_as_the_bytes_it_shows', () => {
  const buffer = Uint8Array.of(1, 2, 3, 4).buffer;
  assert.deepEqual(bytes(new Uint8Array(buffer, 1, 2)), [2, 3]);
  assert.deepEqual(bytes(new DataView(buffer, 3)), [4]);
  assert.deepEqual(bytes(Float32Array.of(1)), [0, 0, 0x80, 0x3f]);
});

test('bytes_of_another_frame_are_bytes', () => {
  assert.deepEqual(bytes(runInNewContext('Uint8Array.of(7)')), [7]);
  assert.deepEqual(bytes(runInNewContext('Uint8Array.of(7).buffer')), [7]);
});

test('nothing_else_is_a_message', () => {
  const pretender = { byteLength: 1, [Symbol.toStringTag]: 'ArrayBuffer' };
  const revoked = Proxy.revocable([], {});
  revoked.revoke();
  const values = [undefined, null, 7, 7n, true, Symbol('x'), {}, [1, 2], () => {}, new String('x'), pretender, new Proxy(new Uint8Array(1), {}), revoked.proxy];
  for (const value of values) {
    const { code, message } = toBytes(value);
    assert.equal(code, 'bad-message');
    assert.ok(Object.is(message, value));
  }
});

test('a_view_or_buffer_is_sent_whole_whatever_was_put_over_its_properties', () => {
  const liar = { get() { throw new Error('boo'); } };
  const lie = { buffer: liar, byteOffset: liar, byteLength: liar, length: liar, [Symbol.toStringTag]: liar };
  const { buffer } = Uint8Array.of(1, 2, 3, 4);
  for (const view of [new Uint8Array(buffer, 1, 2), new DataView(buffer, 1, 2), new Uint16Array(Uint8Array.of(2, 3).buffer)]) {
    assert.deepEqual(bytes(Object.defineProperties(view, lie)), [2, 3]);
  }
  assert.deepEqual(bytes(Object.defineProperties(Uint8Array.of(2, 3).buffer, lie)), [2, 3]);
  class Short extends Uint8Array {
    get byteLength() { return 1; }
    get buffer() { return new ArrayBuffer(1); }
  }
  assert.deepEqual(bytes(Short.of(2, 3)), [2, 3]);
  assert.deepEqual(bytes(new Uint8Array(new SharedArrayBuffer(2), 1)), [0]);
});

test('a_buffer_that_was_transferred_away_is_no_message', () => {
  for (const make of [(buffer) => new DataView(buffer), (buffer) => new Uint8Array(buffer), (buffer) => buffer]) {
    const buffer = new ArrayBuffer(4);
    const given = make(buffer);
    structuredClone(buffer, { transfer: [buffer] });
    const { code, reason } = toBytes(given);
    assert.equal(code, 'bad-message');
    assert.match(reason, /buffer that was transferred away$/);
  }
});

test('a_view_outside_its_buffer_is_no_message_and_an_empty_one_inside_is', () => {
  const buffer = new ArrayBuffer(8, { maxByteLength: 8 });
  const outside = [new Uint8Array(buffer, 5), new Uint8Array(buffer, 0, 8), new Float32Array(buffer, 4, 1), new DataView(buffer, 5), new DataView(buffer, 0, 8)];
  const inside = [new Uint8Array(buffer, 4), new DataView(buffer, 4)];
  buffer.resize(4);
  for (const view of outside) assert.deepEqual([toBytes(view).code, toBytes(view).reason], ['bad-message', 'send() was given a view outside its buffer']);
  for (const view of inside) assert.deepEqual(bytes(view), []);
});

test('a_string_with_more_characters_than_a_message_has_bytes_is_refused_unread', () => {
  const text = 'x'.repeat(LONGEST + 1);
  assert.deepEqual(toBytes(text), { code: 'message-too-large', reason: 'send() was given a string of 8388608 characters', message: text });
  assert.equal(toBytes('x'.repeat(LONGEST)).byteLength, LONGEST);
});

test('a_peer_id_is_a_number_or_its_digits', () => {
  assert.equal(parsePeerId(1), 1);
  assert.equal(parsePeerId('12'), 12);
});

test('nonsense_is_no_peer_id', () => {
  const nonsense = [undefined, null, NaN, Infinity, 0, -1, 1.5, 2 ** 32 + 1, '', '0', '01', ' 1', '1e0', '0x1', 'one', 1n, true, {}, [1], Symbol('x')];
  for (const value of nonsense) assert.equal(parsePeerId(value), undefined, String(value));
});
