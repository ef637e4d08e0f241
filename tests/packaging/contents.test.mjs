// What is in the package that npm installs.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { placesIn } from './support/places.mjs';
import { name, newProject } from './support/project.mjs';

const project = await newProject();
const installed = `node_modules/${name}`;
const files = await project.files(installed);
const manifest = JSON.parse(await project.read('package.json'));

test('installing it installs nothing else', async () => {
  const packages = (await readdir(project.path('node_modules'))).filter((entry) => !entry.startsWith('.'));
  assert.deepEqual(packages, [name]);
});

test('it holds what runs and what explains it and nothing else', () => {
  const known = /^dist\/.+(\.js|\.js\.map|\.d\.ts|\.wasm)$|^dist\/integrity\.json$|^polyfill\.global\.js$|^package\.json$|^README\.md$|^LICENSE-/;
  assert.deepEqual(files.filter((file) => !known.test(file)), []);
});

test('it holds one wasm file for pages and one for processes with the drive', () => {
  assert.deepEqual(files.filter((file) => file.endsWith('.wasm')), ['dist/peersockets-host.wasm', 'dist/peersockets.wasm']);
});

test('its licences come with it, and that of what it has of others', async () => {
  assert.equal(manifest.license, 'MIT OR Apache-2.0');
  assert.match(await text('LICENSE-MIT'), /Permission is hereby granted, free of charge/);
  assert.match(await text('LICENSE-APACHE'), /Apache License\s+Version 2\.0/);
  assert.match(await text('LICENSE-ws'), /Copyright \(c\) 2011 Einar Otto Stangvik[^]*Permission is hereby granted, free of charge/);
});

test('every entry resolves to a file and nothing behind the entries does', async () => {
  const entries = ['.', './slim', './polyfill', './polyfill.global.js', './hyperdrive', './peersockets.wasm', './integrity.json', './package.json'];
  assert.deepEqual(Object.keys(manifest.exports), entries);
  const { stdout } = await project.node(`console.log(JSON.stringify(${JSON.stringify(entries)}.map((entry) => import.meta.resolve('${name}' + entry.slice(1)))))`);
  for (const url of JSON.parse(stdout)) assert.ok(files.some((file) => join(project.installed, file) === fileURLToPath(url)), url);
  await assert.rejects(project.node(`import '${name}/dist/engine.js'`), /ERR_PACKAGE_PATH_NOT_EXPORTED/);
});

test('every file that the manifest names is there', () => {
  const named = [manifest.main, manifest.module, manifest.types, manifest.unpkg, manifest.jsdelivr, ...manifest.sideEffects];
  for (const conditions of Object.values(manifest.exports)) named.push(...typeof conditions === 'string' ? [conditions] : Object.values(conditions));
  for (const path of named) assert.ok(files.includes(path.replace(/^\.\//, '')), path);
});

test('its hashes are those of every file that a page may load', async () => {
  const hashes = JSON.parse(await text('dist/integrity.json'));
  const expected = {};
  for (const file of files.filter((file) => /\.(js|wasm)$/.test(file))) {
    expected[file] = `sha384-${createHash('sha384').update(await project.read(file)).digest('base64')}`;
  }
  assert.deepEqual(hashes, expected);
});

test('its README is its own, complete, and links to nothing that is not there', async () => {
  const readme = await text('README.md');
  assert.match(readme, /^# beaker-peersockets\n/);
  assert.ok(readme.includes(`@${manifest.version}/polyfill.global.js`));
  assert.doesNotMatch(readme, /\{(version|integrity)\}/);
  const links = [...readme.matchAll(/\]\(([^)]+)\)/g)].map(([, target]) => target);
  assert.deepEqual(links.filter((target) => !/^(https:|#)/.test(target) && !files.includes(target)), []);
});

test('a bundler drops the main entry that nobody uses and keeps the polyfill', async () => {
  assert.deepEqual(manifest.sideEffects, ['./dist/polyfill.js', './polyfill.global.js']);
  for (const entry of [name, `${name}/slim`]) assert.equal(await bundle(`import '${entry}'`), '', entry);
  assert.match(await bundle(`import '${name}/polyfill'`), /peersockets/);
  assert.match(await bundle(`import '${name}/polyfill.global.js'`), /peersockets/);
});

test('a bundler that takes one class takes no more than that needs', async () => {
  const error = await bundle(`import { PeerSocketsError } from '${name}'; console.log(PeerSocketsError)`);
  assert.doesNotMatch(error, /WebAssembly\.compile/);
});

test('no file names a place of the machine that built it', async () => {
  for (const file of files) assert.deepEqual(placesIn(await project.read(file)), [], file);
});

async function text(file) {
  return (await project.read(file)).toString();
}

/** What a bundler makes of a module in the project. */
async function bundle(contents) {
  const { outputFiles } = await build({
    stdin: { contents, resolveDir: project.directory }, bundle: true, write: false, minify: true, format: 'esm', logLevel: 'error',
    // The one file that names the wasm says where it lies by import.meta.url, which stays.
    target: 'es2022',
  });
  return outputFiles[0].text.trim();
}
