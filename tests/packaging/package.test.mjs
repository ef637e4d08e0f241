// What somebody gets who installs the package: `npm pack`, installed into an empty folder.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { build } from 'esbuild';
import { placesIn } from './support/places.mjs';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../../', import.meta.url));
const name = 'beaker-peersockets';

let consumer;
let installed;
let manifest;

before(async () => {
  consumer = await mkdtemp(join(tmpdir(), 'consumer-'));
  const { stdout } = await run('npm', ['pack', join(root, 'pkg'), '--json', '--pack-destination', consumer], { cwd: consumer });
  const [{ filename }] = JSON.parse(stdout);
  await writeFile(join(consumer, 'package.json'), '{ "private": true, "type": "module" }');
  // Offline: whoever installs it downloads nothing else.
  await run('npm', ['install', '--offline', '--no-audit', '--no-fund', `./${filename}`], { cwd: consumer });
  installed = join(consumer, 'node_modules', name);
  manifest = JSON.parse(await readFile(join(installed, 'package.json'), 'utf8'));
});

after(() => rm(consumer, { recursive: true, force: true }));

test('installing it installs nothing else', async () => {
  const packages = (await readdir(join(consumer, 'node_modules'))).filter((entry) => !entry.startsWith('.'));
  assert.deepEqual(packages, [name]);
});

test('it holds what runs and what explains it and nothing else', async () => {
  const strangers = (await files()).filter((file) => !/^dist\/.+(\.js|\.d\.ts|\.wasm)$|^polyfill\.global\.js$|^package\.json$|^README\.md$|^LICENSE-/.test(file));
  assert.deepEqual(strangers, []);
});

test('it holds exactly one wasm file', async () => {
  assert.deepEqual((await files()).filter((file) => file.endsWith('.wasm')), ['dist/peersockets.wasm']);
});

test('both licences come with it', async () => {
  assert.equal(manifest.license, 'MIT OR Apache-2.0');
  assert.match(await readFile(join(installed, 'LICENSE-MIT'), 'utf8'), /Permission is hereby granted, free of charge/);
  assert.match(await readFile(join(installed, 'LICENSE-APACHE'), 'utf8'), /Apache License\s+Version 2\.0/);
});

test('every entry resolves to a file and nothing behind the entries does', async () => {
  const entries = ['.', './polyfill', './polyfill.global.js'];
  assert.deepEqual(Object.keys(manifest.exports), entries);
  for (const entry of entries) {
    const { stdout } = await node(`console.log(import.meta.resolve(${JSON.stringify(join(name, entry))}))`);
    assert.ok(fileURLToPath(stdout.trim()).startsWith(installed), `${entry} resolves to ${stdout}`);
    assert.ok((await readFile(fileURLToPath(stdout.trim()))).length > 0);
  }
  await assert.rejects(node(`import '${name}/dist/engine.js'`), /ERR_PACKAGE_PATH_NOT_EXPORTED/);
});

test('node imports every module entry without a side effect', async () => {
  for (const entry of [name, `${name}/polyfill`]) {
    const { stdout } = await node(`
      const opened = [];
      for (const global of ['fetch', 'WebSocket', 'setTimeout', 'setInterval', 'queueMicrotask']) {
        globalThis[global] = new Proxy(globalThis[global] ?? class {}, {
          apply: (...call) => { opened.push(global); return Reflect.apply(...call); },
          construct: (...call) => { opened.push(global); return Reflect.construct(...call); },
        });
      }
      const before = Object.getOwnPropertyNames(globalThis);
      const entry = await import('${entry}');
      const added = Object.getOwnPropertyNames(globalThis).filter((key) => !before.includes(key));
      console.log(JSON.stringify({ exports: Object.keys(entry), added, opened, waits: process.getActiveResourcesInfo() }));
    `);
    const { exports, added, opened, waits } = JSON.parse(stdout);
    assert.equal(exports.includes('install'), entry === name);
    // Standard output may be a pipe that the process still writes to.
    const waiting = waits.filter((resource) => !/^(PipeWrap|TTYWrap|CloseReq)$/.test(resource));
    assert.deepEqual({ added, opened, waiting }, { added: [], opened: [], waiting: [] }, entry);
  }
});

test('the main entry offers the promised names', async () => {
  const { stdout } = await node(`console.log(JSON.stringify(Object.keys(await import('${name}'))))`);
  const names = JSON.parse(stdout);
  for (const promised of ['PeerSockets', 'install', 'ready']) assert.ok(names.includes(promised), `${promised} is missing in ${names}`);
});

test('a bundler drops the main entry that nobody uses and keeps the polyfill', async () => {
  assert.deepEqual(manifest.sideEffects, ['./dist/polyfill.js', './polyfill.global.js']);
  assert.equal(await bundle(`import '${name}'`), '');
  assert.match(await bundle(`import '${name}/polyfill'`), /peersockets/);
  assert.match(await bundle(`import '${name}/polyfill.global.js'`), /peersockets/);
});

test('a strict typescript program compiles against it', async () => {
  const result = await typecheck(`
    import { PeerSockets, install, ready } from '${name}';
    import type { ErrorCode, Stats } from '${name}';
    import '${name}/polyfill';

    await ready();
    const sockets: PeerSockets = install({ drive: 'hyper://' + '0'.repeat(64), relays: ['wss://relay.example/relay'] });
    const topic = beaker.peersockets.join('chat');
    sockets.watch().addEventListener('join', (event) => topic.send(event.peerId, 'hello'));
    topic.addEventListener('message', ({ peerId, message }) => console.log(peerId.toFixed(), message.byteLength));
    sockets.addEventListener('error', ({ code, remedy }) => { const known: ErrorCode = code; console.warn(known, remedy); });
    export const stats: Stats = sockets.stats();
  `);
  assert.equal(result, '');
});

test('its types refuse what it refuses', async () => {
  const result = await typecheck(`
    import { PeerSockets } from '${name}';
    const topic = new PeerSockets().join('chat');
    topic.send(1, { not: 'bytes' });
    topic.addEventListener('message', (event) => event.peer);
  `);
  assert.match(result, /\(3,\d+\): error TS2353/);
  assert.match(result, /\(4,\d+\): error TS2339/);
  assert.equal(result.match(/error TS/g).length, 2, result);
});

test('no file names a place of the machine that built it', async () => {
  for (const file of await files()) assert.deepEqual(placesIn(await readFile(join(installed, file))), [], file);
});

/** The package's files, as paths inside it. */
async function files() {
  const entries = await readdir(installed, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => relative(installed, join(entry.parentPath, entry.name))).sort();
}

/** Runs a module in the consumer's folder; it must end by itself. */
function node(source) {
  return run(process.execPath, ['--input-type=module', '--eval', source], { cwd: consumer, timeout: 20_000 });
}

/** What a bundler makes of a module in the consumer's folder. */
async function bundle(contents) {
  const { outputFiles } = await build({
    stdin: { contents, resolveDir: consumer }, bundle: true, write: false, minify: true, format: 'esm', logLevel: 'error',
    // The one file that names the wasm says where it lies by import.meta.url, which stays.
    target: 'es2022',
  });
  return outputFiles[0].text.trim();
}

/** What `tsc --strict` says about a module in the consumer's folder. */
async function typecheck(source) {
  await writeFile(join(consumer, 'program.ts'), source.replace(/^\n/, ''));
  const settings = ['--strict', '--noEmit', '--target', 'es2022', '--module', 'nodenext', '--lib', 'es2022,dom'];
  try {
    const { stdout } = await run(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), ...settings, 'program.ts'], { cwd: consumer });
    return stdout;
  } catch (error) {
    return error.stdout || String(error);
  }
}
