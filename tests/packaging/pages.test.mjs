// Pages that no tool has touched: the package as npm installed it, on the page's own server and on another one.
// Policies, a wasm that is missing and one of the wrong type are in tests/e2e/errors-page.test.mjs.

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openPerson, startBrowser } from '../e2e/support/browser.mjs';
import { startRelay } from '../e2e/support/relay.mjs';
import { startCdn } from './support/cdn.mjs';
import { chatProgram, twoGreetEachOther } from './support/chat.mjs';
import { newProject } from './support/project.mjs';

const project = await newProject();
const integrity = JSON.parse(await project.read('dist/integrity.json'));
const browser = await startBrowser();
const www = await mkdtemp(join(tmpdir(), 'pages-'));
after(() => rm(www, { recursive: true, force: true }));
const relay = await startRelay({ www, pkg: project.installed });
const cdn = await startCdn(project);

/** The program of a page whose `beaker` is there already. */
const CLASSIC = chatProgram().replace('install()', 'beaker.peersockets');
const importMap = (entry) => `<script type="importmap">${JSON.stringify(entry)}</script>`;

test('a module finds it by an import map', async (t) => {
  await greetings(t, `${importMap({ imports: { 'beaker-peersockets': '/pkg/dist/index.js' } })}
    <script type="module">import { install } from 'beaker-peersockets'; ${chatProgram()}</script>`);
});

test('a module imports it by its path', async (t) => {
  await greetings(t, `<script type="module">import '/pkg/dist/polyfill.js'; ${CLASSIC}</script>`);
});

test('a module gives the slim entry the path of the wasm', async (t) => {
  await greetings(t, `<script type="module">import { install } from '/pkg/dist/slim.js'; ${chatProgram("{ wasm: '/pkg/dist/peersockets.wasm' }")}</script>`);
});

test('a classic script uses it at once', async (t) => {
  await greetings(t, `<script src="/pkg/polyfill.global.js"></script><script>${CLASSIC}</script>`);
});

test('another origin: a classic script with its hash', async (t) => {
  await greetings(t, `<script src="${cdn.address}/polyfill.global.js" integrity="${integrity['polyfill.global.js']}" crossorigin></script><script>${CLASSIC}</script>`);
});

for (const [what, url] of [['the address of the package', `${cdn.url}/beaker-peersockets`], ['an address that redirects', `${cdn.url}/unpkg/beaker-peersockets`]]) {
  test(`another origin: a classic script from ${what}`, async (t) => {
    await greetings(t, `<script src="${url}"></script><script>${CLASSIC}</script>`);
  });
}

test('another origin: modules with their hashes, and a wasm of type application/octet-stream', async (t) => {
  const other = await startCdn(project, { wasmType: 'application/octet-stream' });
  const hashes = Object.fromEntries(Object.entries(integrity).map(([file, hash]) => [`${other.address}/${file}`, hash]));
  await greetings(t, `${importMap({ imports: { 'beaker-peersockets': `${other.address}/dist/index.js` }, integrity: hashes })}
    <script type="module">import { install } from 'beaker-peersockets'; ${chatProgram()}</script>`);
});

test('another origin: the slim entry checks the wasm by a request that names its hash', async (t) => {
  const wasm = `new Request('${cdn.address}/dist/peersockets.wasm', { integrity: '${integrity['dist/peersockets.wasm']}' })`;
  await greetings(t, `<script type="module">import { install } from '${cdn.address}/dist/slim.js'; ${chatProgram(`{ wasm: ${wasm} }`)}</script>`);
});

test('another origin: the classic script refuses any wasm but its own', async (t) => {
  // One section more, as a foreign server could add: still sound WebAssembly that does the same.
  const changed = Buffer.concat([await project.read('dist/peersockets.wasm'), Buffer.from([0, 2, 1, 0x78])]);
  assert.ok(WebAssembly.validate(changed));
  const other = await startCdn(project, { changed: { 'dist/peersockets.wasm': changed } });
  const url = await serve(`<script src="${other.address}/polyfill.global.js"></script>`);
  const person = await openPerson(t, browser);
  person.expect(/integrity/, /^\[beaker-peersockets\] wasm-load-failed/);
  await person.page.goto(url);
  assert.equal(await person.evaluate(() => beaker.peersockets.ready.catch(({ code }) => code)), 'wasm-load-failed');
  assert.ok(person.lines.some((line) => line.includes('integrity checks failed')), person.lines.join('\n'));
});

/** Two people open a page with this in its body, and greet each other. */
async function greetings(t, body) {
  await twoGreetEachOther(t, browser, await serve(body));
}

let pages = 0;

/** A new page of the relay, on a drive of its own; gives its address. */
async function serve(body) {
  pages += 1;
  const drive = `hyper://${String(pages).padStart(64, '0')}`;
  const head = `<!doctype html><meta charset="utf-8"><title>A page</title><link rel="icon" href="data:,"><meta name="hyperdrive" content="${drive}">`;
  await writeFile(join(www, `${pages}.html`), head + body);
  return `${relay.url}/${pages}.html`;
}
