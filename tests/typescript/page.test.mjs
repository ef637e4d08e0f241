// Which drive and which relays a page means, of the built package in pkg/.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chooseDrive } from '../../target/package/pkg-modules/drive.js';
import { fillIn } from '../../target/package/pkg-modules/options.js';
import { isSecurePage } from '../../target/package/pkg-modules/page.js';
import { choosePeers, chooseRelays } from '../../target/package/pkg-modules/relays.js';

function page({ address = 'https://example.org/app/page.html', origin = 'https://example.org', base = address, ...tags } = {}) {
  return { address, origin, base, hasDocument: true, meta: (name) => tags[name] ?? [] };
}

test('the_drive_option_comes_first_then_meta_then_a_hyper_address', () => {
  const named = page({ address: 'hyper://cc/', hyperdrive: ['hyper://bb/', 'hyper://dd/'] });
  assert.equal(chooseDrive('hyper://aa/', named), 'hyper://aa/');
  assert.equal(chooseDrive(undefined, named), 'hyper://bb/');
  assert.equal(chooseDrive(undefined, page({ address: 'hyper://cc/' })), 'hyper://cc/');
});

test('a_page_that_names_no_drive_uses_its_origin', () => assert.equal(chooseDrive(undefined, page()), undefined));

test('an_empty_drive_is_reported_and_not_replaced_by_the_origin', () => {
  assert.equal(chooseDrive('', page()), '');
  assert.equal(chooseDrive(undefined, page({ hyperdrive: [''] })), '');
});

test('a_drive_option_that_is_no_text_does_not_throw', () => {
  assert.equal(chooseDrive(null, page()), 'null');
  assert.equal(typeof chooseDrive(Object.create(null), page()), 'string');
});

test('the_relays_option_comes_first_then_every_meta_tag', () => {
  const named = page({ 'peersockets-relay': ['wss://a/relay, wss://b/relay', 'wss://c/relay'] });
  assert.deepEqual(chooseRelays('wss://x/relay wss://y/relay', named), ['wss://x/relay', 'wss://y/relay']);
  assert.deepEqual(chooseRelays(['wss://x/a,b'], named), ['wss://x/a,b']);
  assert.deepEqual(chooseRelays(undefined, named), ['wss://a/relay', 'wss://b/relay', 'wss://c/relay']);
});

test('without_a_relay_the_pages_own_server_is_asked', () => {
  assert.deepEqual(chooseRelays(undefined, page()), ['wss://example.org/relay']);
  assert.deepEqual(chooseRelays(undefined, page({ origin: 'http://127.0.0.1:8787' })), ['ws://127.0.0.1:8787/relay']);
  assert.deepEqual(chooseRelays(undefined, page({ base: 'https://cdn.example/' })), ['wss://example.org/relay']);
});

test('a_sandboxed_frame_asks_the_server_of_its_page', () => {
  assert.deepEqual(chooseRelays(undefined, page({ origin: 'null' })), ['wss://example.org/relay']);
});

test('a_page_from_no_server_has_no_relay_of_its_own', () => {
  assert.deepEqual(chooseRelays(undefined, page({ origin: 'null', address: 'file:///page.html' })), []);
  assert.deepEqual(chooseRelays(undefined, page({ origin: 'null', address: 'hyper://aa/' })), []);
});

test('a_page_that_names_drive_peers_asks_no_relay_that_it_does_not_name', () => {
  const named = page({ 'peersockets-peer': ['wss://a/drive, /drive', 'wss://b/drive'] });
  assert.deepEqual(choosePeers(undefined, named), ['wss://a/drive', 'wss://example.org/drive', 'wss://b/drive']);
  assert.deepEqual(choosePeers('wss://x/', named), ['wss://x/']);
  assert.deepEqual(choosePeers(undefined, page()), []);
  assert.deepEqual(fillIn({}, named).relays, []);
  assert.deepEqual(fillIn({ peers: [] }, named).relays, ['wss://example.org/relay']);
  assert.deepEqual(fillIn({ peers: 'wss://x/', relays: 'wss://y/' }, page()).relays, ['wss://y/']);
});

test('http_becomes_ws_and_relative_urls_become_absolute', () => {
  assert.deepEqual(chooseRelays(['http://a/r', 'https://b/r', '/r', 'r'], page()), [
    'ws://a/r', 'wss://b/r', 'wss://example.org/r', 'wss://example.org/app/r',
  ]);
});

test('a_url_without_a_path_is_that_of_a_relay', () => {
  assert.deepEqual(chooseRelays(['ws://a:1', 'https://b', '//c', 'wss://d/', 'ws://e?x', 'ftp://f'], page()), [
    'ws://a:1/relay', 'wss://b/relay', 'wss://c/relay', 'wss://d/', 'ws://e/?x', 'ftp://f/',
  ]);
});

test('a_host_with_its_port_is_no_path', () => {
  const hosts = ['127.0.0.1:8787', 'localhost:8787/relay', '[::1]:8787', 'relay.example:443/r?x'];
  const on = (scheme) => [`${scheme}://127.0.0.1:8787/relay`, `${scheme}://localhost:8787/relay`, `${scheme}://[::1]:8787/relay`];
  assert.deepEqual(chooseRelays(hosts, page()), [...on('wss'), 'wss://relay.example/r?x']);
  for (const base of ['http://example.org/', 'file:///page.html', 'data:text/html,', 'about:srcdoc', '']) {
    assert.deepEqual(chooseRelays(hosts, page({ base })), [...on('ws'), 'ws://relay.example:443/r?x']);
  }
  assert.deepEqual(chooseRelays(['8787', 'a:12x', 'user@host:1'], page()), [
    'wss://example.org/app/8787', 'a:12x', 'wss://example.org/app/user@host:1',
  ]);
});

test('a_worker_has_the_relays_and_the_drive_that_it_names_and_no_others', () => {
  const worker = { ...page(), hasDocument: false };
  assert.deepEqual(chooseRelays(undefined, worker), []);
  assert.deepEqual(chooseRelays('ws://a/r', worker), ['ws://a/r']);
  assert.equal(fillIn({}, worker).origin, 'null');
  assert.equal(fillIn({}, page()).origin, 'https://example.org');
});

test('what_is_no_url_stays_as_it_was', () => {
  assert.deepEqual(chooseRelays(['ftp://a/', 'http://', '', Object.create(null)], page()), ['ftp://a/', 'http://', '', '']);
});

test('pages_of_https_origins_are_secure_sandboxed_or_not', () => {
  assert.equal(isSecurePage(page()), true);
  assert.equal(isSecurePage(page({ origin: 'null' })), true);
  assert.equal(isSecurePage(page({ origin: 'http://localhost', address: 'http://localhost/' })), false);
});
