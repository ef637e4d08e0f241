// What is built here and the release before it: pages of both, in one room, at the relay of either. The tarballs in previous/ are what
// `npm pack` made of that release; the next release replaces them by its own.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { newDrive, nextDigest, openPerson, personUrl, sendRandom, startBrowser } from '../e2e/support/browser.mjs';
import { startRelay } from '../e2e/support/relay.mjs';

const run = promisify(execFile);
const tarballs = fileURLToPath(new URL('previous/', import.meta.url));
/** The one platform whose previous program is kept. */
const isKept = `${process.platform}-${process.arch}` === 'linux-x64';
const SIZES = [0, 1, 520, 16_384, 65_536, 1_000_000];

const browser = await startBrowser();
const scratch = await mkdtemp(join(tmpdir(), 'peersockets-previous-'));
after(() => rm(scratch, { recursive: true, force: true }));
/** Relays whose pages have the package that is built here, and the one before it. */
const pages = { today: await startRelay(), previous: await startRelay({ pkg: await unpack('beaker-peersockets') }) };

test('pages of the previous release have what is in its tarball', async () => {
  const served = await fetch(`${pages.previous.url}/pkg/polyfill.global.js`);
  const { stdout } = await run('tar', ['--extract', '--to-stdout', '--file', tarball('beaker-peersockets'), 'package/polyfill.global.js']);
  assert.ok(stdout.length > 10_000);
  assert.equal(await served.text(), stdout);
});

test("pages of today and of the previous release talk in one room of today's relay", async (t) => {
  // It says things that the previous release does not know.
  await everybodyHearsEverybody(t, await startRelay({ options: ['--stun', 'stun:127.0.0.1:9'] }));
});

test("pages of today and of the previous release talk in one room of the previous release's relay", { skip: !isKept }, async (t) => {
  const program = join(await unpack('beaker-peersockets-relay-linux-x64'), 'peersockets-relay');
  await everybodyHearsEverybody(t, await startRelay({ program }));
});

/** Two pages of each release meet at a relay; each sends messages of every size to all others. */
async function everybodyHearsEverybody(t, relay) {
  const drive = newDrive();
  const people = await Promise.all([pages.today, pages.today, pages.previous, pages.previous].map((server) => (
    openPerson(t, browser, personUrl(server, { drive, relays: [relay] }))
  )));
  await Promise.all(people.map((person) => person.evaluate(async (others) => {
    await joins.take(others);
    window.chat = beaker.peersockets.join('chat');
    window.messages = new Arrivals(chat, 'message');
  }, people.length - 1)));
  for (const sender of people) {
    const others = people.filter((person) => person !== sender);
    for (const size of SIZES) {
      const sent = await sendRandom(sender, 'chat', size);
      assert.equal(sent[0], size);
      assert.deepEqual(await Promise.all(others.map(nextDigest)), others.map(() => sent), `${size} bytes`);
    }
  }
}

/** Unpacks a package, as npm would, and gives its directory. */
async function unpack(name) {
  const directory = join(scratch, name);
  await mkdir(directory);
  await run('tar', ['--extract', '--file', tarball(name), '--directory', directory]);
  return join(directory, 'package');
}

/** The one tarball of a package, whatever its version. */
function tarball(name) {
  const names = readdirSync(tarballs).filter((file) => new RegExp(`^${name}-\\d[^-]*\\.tgz$`).test(file));
  assert.equal(names.length, 1, `${name}: ${names}`);
  return join(tarballs, names[0]);
}
