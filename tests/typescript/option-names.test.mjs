// What is said of options that do not exist, of the built package and its WebAssembly.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { PeerSockets, install } from '../../pkg/dist/index.js';
import { misnamedOptions } from '../../target/package/pkg-modules/option-names.js';
import { readOptions } from '../../target/package/pkg-modules/options.js';

const wasm = await readFile(new URL('../../pkg/dist/peersockets.wasm', import.meta.url));
const reasonsFor = (options) => misnamedOptions(options).map(({ reason }) => reason);

test('options_that_do_not_exist_are_named_if_they_are_few_and_short_with_those_that_do', () => {
  const misspelt = { relay: 1, Relays: 1, ['x'.repeat(10_000)]: 1 };
  assert.deepEqual(reasonsFor(misspelt), [`there is no option "relay", "Relays", "${'x'.repeat(40)}", only drive, relays, peers, direct, directPeers, iceServers, sessionTime, wasm, force`]);
  const [reason] = reasonsFor(Object.fromEntries(Array.from({ length: 100 }, (_, number) => [`option${number}`, 1])));
  assert.equal(reason.match(/option\d/g).length, 8);
});

test('what_is_right_or_can_not_be_read_is_no_misnamed_option', () => {
  const revoked = Proxy.revocable({}, {});
  revoked.revoke();
  for (const options of [undefined, null, {}, { drive: 1, relays: 2, peers: 3, wasm: 4, force: 5 }, revoked.proxy]) assert.deepEqual(reasonsFor(options), []);
});

for (const [what, options, code, reason] of [
  ['misspelt', { Drive: 'ab'.repeat(32) }, 'unknown-option', /^there is no option "Drive", only drive, /],
  ['misspelt beside the right one', { drive: 'ab'.repeat(32), relay: 'ws://a/relay' }, 'unknown-option', /^there is no option "relay", only /],
  ['undefined', { drive: undefined }, 'bad-drive', /^the drive was given as undefined$/],
  ['null', { drive: null }, 'bad-drive', /^the drive "null" cannot be used: /],
  ['an empty text', { drive: '' }, 'bad-drive', /^the drive "" cannot be used: it is empty$/],
  ['a wrong key', { drive: 'hyper://short' }, 'bad-drive', /^the drive "hyper:\/\/short" cannot be used: its key has 5 characters/],
]) {
  test(`an_option_that_is_wrong_lets_nobody_in_where_anyone_can_be: ${what}`, async (context) => {
    context.mock.method(console, 'warn', () => {});
    for (const make of [(given) => new PeerSockets(given), install]) {
      const sockets = make({ wasm, relays: ['ws://127.0.0.1:9/relay'], ...options });
      const errors = [];
      sockets.addEventListener('error', ({ error }) => errors.push(error));
      const topic = sockets.join('chat');
      topic.addEventListener('error', ({ code, message }) => errors.push({ code, message }));
      topic.send(1, 'private');
      await assert.rejects(sockets.ready, { code });
      await new Promise((resolve) => setImmediate(resolve));
      assert.equal(sockets.state, 'failed');
      assert.deepEqual(errors.map((error) => error.code), [code, code], 'one, and the message that comes back');
      assert.match(errors.find((error) => error.reason).reason, reason);
      assert.deepEqual(sockets.stats().relays, []);
      delete globalThis.beaker;
    }
  });
}

test('without_the_option_the_drive_is_the_pages', () => {
  assert.deepEqual(readOptions({ wasm }), { drive: undefined, relays: undefined, peers: undefined, directPeers: 0, wasm });
});

test('options_that_are_no_object_are_refused_and_not_taken_for_none', async (context) => {
  const warn = context.mock.method(console, 'warn', () => {});
  for (const options of ['hyper://aa', 7, true, ['ws://a/relay'], () => {}]) {
    await assert.rejects(new PeerSockets(options).ready, { code: 'bad-options', reason: 'the options cannot be used: they are no object' });
    await assert.rejects(install(options).ready, { code: 'bad-options' });
    delete globalThis.beaker;
  }
  await new Promise((resolve) => setImmediate(resolve));
  assert.ok(warn.mock.calls.every(({ arguments: [line] }) => line.includes('bad-options')));
});
