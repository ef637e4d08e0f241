// The options of direct connections, and what becomes of one where there is no WebRTC.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { afterEach, test } from 'node:test';
import { connect } from '../../pkg/dist/hyperdrive.js';
import { PeerSockets } from '../../pkg/dist/index.js';
import { Lifeline } from '../../target/package/pkg-modules/lifeline.js';
import { loadWasm } from '../../target/package/pkg-modules/load.js';
import { fillIn, prepare, readOptions } from '../../target/package/pkg-modules/options.js';
import { Told } from '../../target/package/pkg-modules/peer-connection.js';

const wasm = await readFile(new URL('../../pkg/dist/peersockets.wasm', import.meta.url));
const page = { origin: 'https://example.org', hasDocument: true, address: 'https://example.org/', base: 'https://example.org/', meta: () => [] };
/** What is made of options where WebRTC is there. */
const chosen = (options) => {
  globalThis.RTCPeerConnection = class {};
  const { directPeers, iceServers } = fillIn(readOptions(options), page);
  return { directPeers, iceServers };
};

afterEach(() => {
  delete globalThis.RTCPeerConnection;
});

test('32_peers_are_connected_to_directly_unless_the_page_wants_others_or_none', () => {
  assert.deepEqual(chosen({}), { directPeers: 32, iceServers: undefined });
  assert.deepEqual(chosen({ direct: true, directPeers: 256 }).directPeers, 256);
  assert.deepEqual(chosen({ directPeers: 0 }).directPeers, 0);
  assert.deepEqual(chosen({ direct: false }).directPeers, 0);
  assert.deepEqual(chosen({ direct: false, directPeers: 5 }).directPeers, 0);
});

test('a_page_says_so_in_its_head_too_unless_an_option_does', () => {
  const named = (content, options = {}) => {
    globalThis.RTCPeerConnection = class {};
    const meta = (name) => (name === 'peersockets-direct' ? [content] : []);
    return fillIn(readOptions(options), { ...page, meta }).directPeers;
  };
  for (const content of ['false', ' False ', '', 'no', '0', 'flase']) assert.equal(named(content), 0, 'it was not meant to show anybody an address');
  for (const content of ['true', ' True ']) assert.equal(named(content), 32);
  assert.equal(named('false', { direct: undefined }), 0);
  assert.equal(named('false', { direct: true }), 32);
  assert.equal(named('true', { direct: false }), 0);
});

test('what_the_page_says_behind_the_script_counts_whatever_the_options_say_of_drive_and_relays', async (t) => {
  const content = {};
  globalThis.RTCPeerConnection = class {};
  globalThis.document = Object.assign(new EventTarget(), {
    readyState: 'loading',
    baseURI: 'https://example.org/',
    querySelectorAll: (selector) => Object.keys(content).filter((name) => selector.includes(`"${name}"`)).map((name) => ({ content: content[name] })),
  });
  t.after(() => { delete globalThis.document; });
  const options = { drive: 'ab'.repeat(32), relays: ['wss://relay.test'], wasm };
  await loadWasm(wasm);
  const prepared = [{}, { direct: true }, { direct: true, peers: [] }].map((more) => prepare({ ...options, ...more }));
  await new Promise((resolve) => setImmediate(resolve));
  Object.assign(content, { 'peersockets-direct': 'false', 'peersockets-peer': 'wss://peer.test' });
  document.readyState = 'interactive';
  document.dispatchEvent(new Event('DOMContentLoaded'));
  const found = (await Promise.all(prepared)).map(({ directPeers, peers }) => [directPeers, peers.length]);
  assert.deepEqual(found, [[0, 1], [32, 1], [32, 0]]);
});

test('ice_servers_that_the_browser_refuses_are_told_in_its_words_and_its_own_limit_is_not_taken_for_that', () => {
  const iceServers = [{ urls: 'turn:b.test' }];
  let made = 0;
  globalThis.RTCPeerConnection = class {
    constructor({ iceServers: [server] }) {
      if (server) throw new Error('no credential');
      made += 1;
    }
    close() { made -= 1; }
  };
  const refused = { code: 'bad-options', reason: 'the options cannot be used: the browser does not take iceServers: no credential' };
  assert.throws(() => fillIn(readOptions({ iceServers }), page), refused);
  assert.equal(made, 0, 'what was tried is closed');
  assert.equal(fillIn(readOptions({ iceServers, direct: false }), page).directPeers, 0);
  globalThis.RTCPeerConnection = class { constructor() { throw new Error('500 are enough'); } };
  assert.deepEqual(fillIn(readOptions({ iceServers }), page).iceServers.map(({ urls }) => urls), ['turn:b.test']);
});

test('where_there_is_no_webrtc_nobody_is_connected_to_directly', () => {
  assert.equal(fillIn(readOptions({ direct: true, directPeers: 5 }), page).directPeers, 0);
});

test('ice_servers_are_those_of_the_moment_each_read_once', () => {
  let reads = 0;
  const urls = ['stun:a.test'];
  const servers = [{ urls }, { get urls() { reads += 1; return 'turn:b.test'; }, username: 'name', credential: 'secret', more: 1 }];
  const read = readOptions({ iceServers: servers });
  urls.push('stun:late.test');
  servers.length = 0;
  const expected = [{ urls: ['stun:a.test'], username: undefined, credential: undefined }, { urls: 'turn:b.test', username: 'name', credential: 'secret' }];
  assert.deepEqual(fillIn(read, page).iceServers, expected);
  assert.equal(reads, 1);
  assert.deepEqual(chosen({ iceServers: [] }).iceServers, [], 'none, whatever relays announce');
});

for (const [options, reason] of [
  [{ direct: 'no' }, 'direct is neither true nor false'],
  [{ direct: null }, 'direct is neither true nor false'],
  ...[-1, 257, 1.5, NaN, '32', null].map((directPeers) => [{ directPeers }, 'directPeers is no whole number from 0 to 256']),
  ...['stun:a.test', {}, null].map((iceServers) => [{ iceServers }, 'iceServers is no array']),
  ...[{}, { urls: 1 }, 'stun:a.test', null].map((server) => [{ iceServers: [server] }, 'one of iceServers has no urls']),
]) {
  test(`what_is_no_such_option_is_refused_in_words: ${JSON.stringify(options)}`, async (context) => {
    context.mock.method(console, 'warn', () => {});
    const sockets = new PeerSockets({ wasm, relays: [], drive: 'ab'.repeat(32), ...options });
    await assert.rejects(sockets.ready, { code: 'bad-options', reason: `the options cannot be used: ${reason}` });
  });
}

test('a_process_has_no_such_options', async (context) => {
  context.mock.method(console, 'warn', () => {});
  for (const options of [{ direct: true }, { directPeers: 1 }, { iceServers: [] }]) {
    await assert.rejects(connect({}, options).ready, { code: 'unknown-option' });
  }
});

test('a_direct_connection_where_there_is_no_webrtc_fails_once_and_not_inside_a_call', async () => {
  const told = [];
  const connection = new Lifeline(assert.fail).newPeerConnection([], (...what) => told.push(what));
  connection.offer(false);
  connection.send(new Uint8Array(1));
  assert.deepEqual([told, connection.bufferedAmount], [[], 0]);
  await new Promise((resolve) => setImmediate(resolve));
  connection.accept('');
  connection.close();
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(told, [[Told.failed]]);
});

test('one_that_is_closed_before_it_began_is_never_made', async () => {
  let made = 0;
  globalThis.RTCPeerConnection = class { constructor() { made += 1; } };
  const told = [];
  const connection = new Lifeline(assert.fail).newPeerConnection([], (...what) => told.push(what));
  connection.close();
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual([told, made], [[], 0]);
});

test('what_rust_and_typescript_call_what_is_told_is_the_same', async () => {
  const source = await readFile(new URL('../../src/connection.rs', import.meta.url), 'utf8');
  const numbers = Object.fromEntries([...source.matchAll(/^const (\w+): u32 = (\d+);/gm)].map(([, name, number]) => [name.toLowerCase(), Number(number)]));
  const { failed, ...named } = Told;
  assert.deepEqual(numbers, named);
  assert.ok(!Object.values(numbers).includes(failed), 'it is all else');
});
