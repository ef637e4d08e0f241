// What may be sent, of the built package in pkg/.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runInNewContext } from 'node:vm';
import { toBytes } from '../../pkg/dist/message.js';
import { parsePeerId } from '../../pkg/dist/peer-id.js';

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
  for (const value of [undefined, null, 7, 7n, true, Symbol('x'), {}, [1, 2], () => {}, new String('x'), pretender]) {
    assert.equal(toBytes(value), undefined);
  }
});

test('a_buffer_that_was_transferred_away_does_not_throw', () => {
  const view = new DataView(new ArrayBuffer(4));
  structuredClone(view.buffer, { transfer: [view.buffer] });
  assert.equal(toBytes(view), undefined);
});

test('a_peer_id_is_a_number_or_its_digits', () => {
  assert.equal(parsePeerId(1), 1);
  assert.equal(parsePeerId('12'), 12);
});

test('nonsense_is_no_peer_id', () => {
  const nonsense = [undefined, null, NaN, Infinity, 0, -1, 1.5, 2 ** 32 + 1, '', '0', '01', ' 1', '1e0', '0x1', 'one', 1n, true, {}, [1], Symbol('x')];
  for (const value of nonsense) assert.equal(parsePeerId(value), undefined, String(value));
});
