// The package in what bundlers make of it: each builds a page in an empty folder, and two people open that.

import assert from 'node:assert/strict';
import { copyFile, mkdir, readFile } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { test } from 'node:test';
import webpack from 'webpack';
import { openPerson, startBrowser } from '../e2e/support/browser.mjs';
import { startRelay } from '../e2e/support/relay.mjs';
import { chatProgram, pageWith, twoGreetEachOther } from './support/chat.mjs';
import { newProject } from './support/project.mjs';

const browser = await startBrowser();
const MAIN = `import { install } from 'beaker-peersockets'\n${chatProgram()}`;
const slim = (imported, wasm) => `import { install } from 'beaker-peersockets/slim'\n${imported}\n${chatProgram(`{ wasm: ${wasm} }`)}`;

/** Each builds `src/main.js` into `dist/main.js`, which is what `dist/index.html` loads. */
const bundlers = {
  vite: {
    tools: ['vite'],
    build: (project) => project.run('vite', 'build', '--logLevel', 'warn'),
  },
  'webpack 5': {
    tools: [],
    build: (project) => buildWithWebpack(project.directory),
  },
  rollup: {
    tools: ['rollup', '@rollup/plugin-node-resolve'],
    build: (project) => project.run('rollup', 'src/main.js', '--dir', 'dist', '--format', 'es', '--plugin', 'node-resolve', '--silent'),
  },
  esbuild: {
    tools: ['esbuild'],
    build: (project, ...options) => project.run('esbuild', 'src/main.js', '--bundle', '--format=esm', '--outdir=dist', '--log-level=warning', ...options),
  },
};

for (const bundler of ['vite', 'webpack 5']) {
  test(`${bundler}: the main entry needs nothing else, and the wasm is there once`, async (t) => {
    const project = await build(bundler, MAIN);
    assert.equal((await wasmIn(project)).length, 1);
    await twoGreetEachOther(t, browser, await serve(project));
  });
}

for (const bundler of ['rollup', 'esbuild']) {
  test(`${bundler}: the main entry needs the wasm beside the bundle`, async (t) => {
    const project = await build(bundler, MAIN);
    await copyWasm(project, 'dist/peersockets.wasm');
    await twoGreetEachOther(t, browser, await serve(project));
  });
}

test('esbuild: without the wasm the error names its address and the line to write', async (t) => {
  const url = await serve(await build('esbuild', MAIN));
  const { reason, remedy } = await wasmError(t, url, /Failed to load resource/);
  assert.equal(reason, `wasm-load-failed: the WebAssembly could not be loaded: the server answered 404 Not Found (${url}peersockets.wasm)`);
  assert.equal(remedy, "install({ wasm: '/peersockets.wasm' })");
});

test('esbuild: a classic script has no address of its own, and with the line that the error names it works', async (t) => {
  const options = ['--format=iife', '--log-level=error'];
  const project = await build('esbuild', MAIN, ...options);
  await copyWasm(project, 'dist/peersockets.wasm');
  const url = await serve(project);
  const { remedy } = await wasmError(t, url);
  await project.write({ 'src/main.js': MAIN.replace('install()', remedy) });
  await bundlers.esbuild.build(project, ...options);
  await twoGreetEachOther(t, browser, url);
});

for (const [bundler, imported, wasm, ...options] of [
  ['vite', "import wasm from 'beaker-peersockets/peersockets.wasm?url'", 'wasm'],
  ['webpack 5', '', "new URL('beaker-peersockets/peersockets.wasm', import.meta.url)"],
  ['esbuild', "import wasm from 'beaker-peersockets/peersockets.wasm'", 'wasm', '--loader:.wasm=file'],
]) {
  test(`${bundler}: the slim entry takes the wasm's address from the bundler`, async (t) => {
    const project = await build(bundler, slim(imported, wasm), ...options);
    assert.equal((await wasmIn(project)).length, 1);
    await twoGreetEachOther(t, browser, await serve(project));
  });
}

test('the slim entry brings no wasm, does not ask where it is itself, and takes any address', async (t) => {
  const project = await build('webpack 5', slim('', "'/elsewhere/bytes'"));
  assert.deepEqual(await project.files('dist'), ['index.html', 'main.js']);
  await bundlers.esbuild.build(project);
  assert.doesNotMatch(await readFile(project.path('dist/main.js'), 'utf8'), /import\.meta/);
  await mkdir(project.path('dist/elsewhere'));
  await copyWasm(project, 'dist/elsewhere/bytes');
  await twoGreetEachOther(t, browser, await serve(project));
});

/** A folder with a page whose program is this, built. */
async function build(bundler, program, ...options) {
  const { tools, build } = bundlers[bundler];
  const project = await newProject({ 'src/main.js': program, 'index.html': pageWith('/src/main.js') }, tools);
  await build(project, ...options);
  // Vite writes the page itself.
  if (bundler !== 'vite') await project.write({ 'dist/index.html': pageWith('/main.js') });
  return project;
}

/** A relay that serves what was built; gives the page's address. */
async function serve(project) {
  const relay = await startRelay({ www: project.path('dist') });
  return `${relay.url}/`;
}

/** What the page says on the console of the wasm that it could not load, and the line of code in that. */
async function wasmError(t, url, ...expected) {
  const person = await openPerson(t, browser);
  person.expect(/^\[beaker-peersockets\] wasm-load-failed/, ...expected);
  const [line] = await Promise.all([person.page.waitForEvent('console', (message) => message.text().includes('wasm-load-failed')), person.page.goto(url)]);
  await person.page.close();
  const [, reason, remedy] = /^\[beaker-peersockets\] (.+?)\. The page .+ (install\(\{.+?\}\))/.exec(line.text());
  return { reason, remedy };
}

async function wasmIn(project) {
  return (await project.files('dist')).filter((file) => extname(file) === '.wasm');
}

function copyWasm(project, place) {
  return copyFile(join(project.installed, 'dist/peersockets.wasm'), project.path(place));
}

function buildWithWebpack(directory) {
  const config = { mode: 'production', context: directory, entry: './src/main.js', output: { path: join(directory, 'dist') } };
  return new Promise((resolve, reject) => webpack(config, (error, stats) => {
    if (error ?? stats.hasErrors()) reject(error ?? new Error(stats.toString('errors-only')));
    else resolve();
  }));
}
