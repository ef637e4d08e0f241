// What people read of errors, of the built package in pkg/.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PeerSocketsError } from '../../target/package/pkg-modules/index.js';
import { Warnings } from '../../target/package/pkg-modules/errors.js';

test('an_error_says_what_happened_where_and_what_to_do', () => {
  const error = new PeerSocketsError({ code: 'not-a-relay', reason: 'something else answers', url: 'wss://a/' });
  assert.equal(error.message, `something else answers (wss://a/). ${error.remedy}`);
  assert.equal(error.name, 'PeerSocketsError');
  assert.ok(error instanceof Error);
});

test('a_url_that_the_reason_names_is_not_repeated', () => {
  const error = new PeerSocketsError({ code: 'no-relay', reason: 'no relay answers at wss://a/', url: 'wss://a/' });
  assert.equal(error.message, `no relay answers at wss://a/. ${error.remedy}`);
});

test('codes_of_another_version_have_a_remedy_too', () => {
  for (const code of ['shiny', 'constructor', '__proto__']) assert.match(new PeerSocketsError({ code, reason: 'x' }).remedy, /^Update/);
});

test('each_code_warns_once_and_made_up_codes_warn_once_together', (context) => {
  const warn = context.mock.method(console, 'warn', () => {});
  const warnings = new Warnings();
  for (const code of ['bad-drive', 'no-relay', 'bad-drive', 'shiny', 'shinier']) warnings.warn({ code, reason: 'x' });
  const codes = warn.mock.calls.map(({ arguments: [line] }) => /^\[beaker-peersockets\] ([a-z-]+): x\. /.exec(line)[1]);
  assert.deepEqual(codes, ['bad-drive', 'no-relay', 'shiny']);
});
