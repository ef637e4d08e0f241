// What install() makes of a page that has a `beaker` of its own, of the built package and its WebAssembly.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { afterEach, before, beforeEach, test } from 'node:test';
import { PeerSockets, ready } from '../../target/package/pkg-modules/index.js';

const wasm = await readFile(new URL('../../pkg/dist/peersockets.wasm', import.meta.url));
const options = { wasm, relays: [], drive: 'ab'.repeat(32) };
/** `install()` as it is in a page that has just loaded it: the console is told each code once. */
let install;
/** What the console is told. */
let warn;
let pages = 0;

before(() => ready({ wasm }));
beforeEach(async (context) => {
  ({ mock: warn } = context.mock.method(console, 'warn', () => {}));
  const { installMade } = await import(`../../target/package/pkg-modules/install.js?page=${(pages += 1)}`);
  install = (given) => installMade((options) => new PeerSockets(options), given);
});
afterEach(() => {
  Reflect.deleteProperty(globalThis, 'beaker');
});

/** The codes of the package's lines in the console. */
const warned = () => warn.calls.map(({ arguments: [line] }) => /\] ([a-z-]+):/.exec(line)[1]).filter((code) => code !== 'no-relay');

function setBeaker(descriptor) {
  Object.defineProperty(globalThis, 'beaker', { configurable: true, ...descriptor });
}

class Browser {
  #drives = 0;
  static make() {
    return new Browser();
  }
  get drives() {
    return (this.#drives += 1);
  }
  open() {
    return 'opened';
  }
}

for (const [what, beaker] of [
  ['an_object', { hyperdrive: 'here' }],
  ['an_object_of_a_class', Browser.make()],
  ['a_function', Object.assign(() => 'called', { hyperdrive: 'here' })],
  ['an_object_with_a_peersockets_of_no_value', { hyperdrive: 'here', peersockets: undefined }],
]) {
  test(`the_pages_beaker_is_added_to_and_stays_the_same: ${what}`, () => {
    globalThis.beaker = beaker;
    const sockets = install(options);
    assert.equal(globalThis.beaker, beaker);
    assert.equal(beaker.peersockets, sockets);
    assert.ok('hyperdrive' in beaker || (beaker.open() === 'opened' && beaker.drives === 1));
    assert.deepEqual(warned(), []);
    sockets.close();
  });
}

for (const close of [Object.freeze, Object.seal, Object.preventExtensions]) {
  test(`a_beaker_that_takes_nothing_is_replaced_by_its_likeness: ${close.name}`, () => {
    let reads = 0;
    const beaker = close(Object.create({ inherited: 'too' }, {
      hyperdrive: { value: 'here', enumerable: true },
      hidden: { value: 'also', enumerable: false },
      live: { get: () => (reads += 1), enumerable: true },
    }));
    globalThis.beaker = beaker;
    const sockets = install(options);
    assert.equal(reads, 0, 'nobody asked for it');
    const { hyperdrive, hidden, inherited, peersockets } = globalThis.beaker;
    assert.deepEqual({ hyperdrive, hidden, inherited }, { hyperdrive: 'here', hidden: 'also', inherited: 'too' });
    assert.deepEqual([globalThis.beaker.live, globalThis.beaker.live], [1, 2]);
    assert.deepEqual(Object.keys(globalThis.beaker), ['hyperdrive', 'live', 'peersockets']);
    assert.equal(peersockets, sockets);
    assert.equal('peersockets' in beaker, false);
    assert.deepEqual(warned(), []);
    sockets.close();
  });
}

test('a_beaker_behind_a_getter_is_added_to', () => {
  const beaker = { hyperdrive: 'here' };
  setBeaker({ get: () => beaker });
  const sockets = install(options);
  assert.equal(beaker.peersockets, sockets);
  assert.equal(globalThis.beaker, beaker);
  sockets.close();
});

test('a_beaker_that_a_getter_makes_anew_each_time_is_replaced', () => {
  setBeaker({ get: () => ({ hyperdrive: 'here' }) });
  const sockets = install(options);
  assert.equal(globalThis.beaker.peersockets, sockets);
  assert.equal(globalThis.beaker.hyperdrive, 'here');
  assert.deepEqual(warned(), []);
  sockets.close();
});

test('a_peersockets_of_the_page_stays_and_is_returned', () => {
  const own = { join() {}, watch() {} };
  globalThis.beaker = { peersockets: own, hyperdrive: 'here' };
  assert.equal(install(), own);
  assert.equal(install(options), own);
  assert.equal(globalThis.beaker.peersockets, own);
  assert.deepEqual(warned(), []);
});

test('what_was_installed_stays_and_other_options_for_it_are_a_warning', () => {
  const first = install(options);
  assert.equal(install(), first);
  assert.equal(install(null), first);
  assert.deepEqual(warned(), []);
  assert.equal(install({ ...options, drive: 'cd'.repeat(32) }), first);
  assert.deepEqual(warned(), ['already-installed']);
  first.close();
});

const servers = (name) => [{ urls: `stun:${name}.test` }];
for (const [what, one, other] of [['servers', { iceServers: servers('a') }, { iceServers: servers('b') }], ['time_for_sessions', { sessionTime: 10 }, { sessionTime: 20 }]]) {
  test(`the_same_${what}_are_the_same_options_and_others_are_others`, () => {
    const first = install({ ...options, ...one });
    install({ ...options, ...structuredClone(one) });
    assert.deepEqual(warned(), []);
    install({ ...options, ...other });
    assert.deepEqual(warned(), ['already-installed']);
    first.close();
  });
}

test('install_may_be_called_again_with_the_same_options', () => {
  const relays = () => ['ws://127.0.0.1:9/relay'];
  const peers = () => ['ws://127.0.0.1:9/'];
  const first = install({ ...options, relays: relays(), peers: peers() });
  assert.equal(install({ ...options, relays: relays(), peers: peers() }), first);
  assert.equal(install({ drive: options.drive }), first);
  assert.deepEqual(warned(), []);
  first.close();
});

test('install_replaces_what_was_closed_or_has_failed', async () => {
  const closed = install(options);
  closed.close();
  const failed = install({ get drive() { throw new Error('no drive today'); } });
  assert.notEqual(failed, closed);
  await assert.rejects(failed.ready, { code: 'bad-options' });
  await new Promise((resolve) => setImmediate(resolve));
  const last = install(options);
  assert.notEqual(last, failed);
  assert.equal(globalThis.beaker.peersockets, last);
  await last.ready;
  last.close();
});

for (const [what, beaker] of [
  ['of_an_object', (peersockets) => ({ peersockets, hyperdrive: 'here' })],
  ['of_a_frozen_object', (peersockets) => Object.freeze({ peersockets, hyperdrive: 'here' })],
  ['behind_a_getter', (peersockets) => Object.defineProperty({ hyperdrive: 'here' }, 'peersockets', { get: () => peersockets })],
]) {
  test(`force_replaces_and_closes_the_peersockets_of_the_page: ${what}`, () => {
    let closed = 0;
    globalThis.beaker = beaker({ close: () => (closed += 1) });
    const sockets = install({ ...options, force: true });
    assert.equal(globalThis.beaker.peersockets, sockets);
    assert.equal(globalThis.beaker.hyperdrive, 'here');
    assert.equal(closed, 1);
    const again = install({ ...options, force: true });
    assert.equal(globalThis.beaker.peersockets, again);
    assert.equal(sockets.state, 'closed');
    again.close();
  });
}

// Last, because what can not be configured stays for ever.
test('what_can_not_be_installed_is_returned_all_the_same', () => {
  const beaker = Object.freeze({ hyperdrive: 'here' });
  setBeaker({ value: beaker, configurable: false, writable: false });
  const sockets = install(options);
  assert.equal(sockets.state, 'loading');
  assert.equal(globalThis.beaker, beaker);
  assert.deepEqual(warned(), ['cannot-install']);
  sockets.close();
});
