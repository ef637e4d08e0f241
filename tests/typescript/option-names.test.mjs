// What is said of options that do not exist, of the built package and its WebAssembly.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { PeerSockets, install } from '../../pkg/dist/index.js';
import { misnamedOptions } from '../../pkg/dist/option-names.js';
import { remedyFor } from '../../pkg/dist/errors.js';

const wasm = await readFile(new URL('../../pkg/dist/peersockets.wasm', import.meta.url));
const reasonsFor = (options) => misnamedOptions(options).map(({ reason }) => reason);

test('each_option_that_does_not_exist_is_named_if_they_are_few_and_short', () => {
  const misspelt = { relay: 1, Relays: 1, ['x'.repeat(10_000)]: 1 };
  assert.deepEqual(reasonsFor(misspelt), ['relay', 'Relays', 'x'.repeat(40)].map((name) => `there is no option "${name}"`));
  assert.equal(reasonsFor(Object.fromEntries(Array.from({ length: 100 }, (_, number) => [`option${number}`, 1]))).length, 8);
});

test('what_is_right_or_can_not_be_read_is_no_misnamed_option', () => {
  const revoked = Proxy.revocable({}, {});
  revoked.revoke();
  for (const options of [undefined, null, {}, { drive: 1, relays: 2, peers: 3, wasm: 4, force: 5 }, revoked.proxy]) assert.deepEqual(reasonsFor(options), []);
});

test('the_remedy_lists_every_option_there_is', () => {
  for (const name of ['drive', 'relays', 'peers', 'wasm', 'force']) {
    assert.deepEqual(reasonsFor({ [name]: 1 }), []);
    assert.match(remedyFor('unknown-option'), new RegExp(`\\b${name}\\b`));
  }
});

test('a_misspelt_option_is_an_error_event_and_the_others_are_used', async () => {
  const sockets = new PeerSockets({ wasm, drive: 'ab'.repeat(32), relay: 'ws://a/relay', relays: [], hint: 1 });
  const errors = [];
  sockets.addEventListener('error', ({ code, reason }) => errors.push([code, reason]));
  await sockets.ready;
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(errors, [
    ['unknown-option', 'there is no option "relay"'],
    ['unknown-option', 'there is no option "hint"'],
    ['no-relay', 'no relay and no drive peer is named'],
  ]);
  assert.notEqual(sockets.stats().driveDiscoveryKey, '');
  sockets.close();
});

test('options_that_are_no_object_are_refused_and_not_taken_for_none', async (context) => {
  const warn = context.mock.method(console, 'warn', () => {});
  for (const options of ['hyper://aa', 7, true, ['ws://a/relay'], () => {}]) {
    await assert.rejects(new PeerSockets(options).ready, { code: 'bad-options', reason: 'the options could not be read: they are no object' });
    await assert.rejects(install(options).ready, { code: 'bad-options' });
    delete globalThis.beaker;
  }
  await new Promise((resolve) => setImmediate(resolve));
  assert.ok(warn.mock.calls.every(({ arguments: [line] }) => line.includes('bad-options')));
});
