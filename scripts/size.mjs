// How much a page downloads for the package's default entry.

import { readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { root } from './paths.mjs';

const GZIP_LIMIT = 120_000;
/** By how much the README may be wrong. */
const ROUNDING = 1_500;

/** `import ... from './file.js'`, `export ... from`, `import './file.js'`, `import('./file.js')`: relative ones, also in minified code. */
const IMPORT = /(?:\bfrom|\bimport)\s*\(?\s*["'](\.[^"']*)["']/g;

/**
 * Prints the sizes, and holds the compressed sum to the limit and to what the README says.
 * @param {string} directory the built package
 * @returns {import('./results.mjs').Result[]}
 */
export function checkSize(directory) {
  const rows = downloads(directory);
  const total = rows.at(-1);
  rows.forEach(printRow);
  const [, stated] = /downloads about (\d+) kB gzipped/.exec(readFileSync(join(root, 'README.md'), 'utf8')) ?? [];
  const isTrue = Math.abs(total.gz - stated * 1_000) <= ROUNDING;
  return [limited(total), { name: `the README's ${stated} kB are what the default entry downloads`, passed: isTrue }];
}

function limited(total) {
  return { name: `the default entry downloads ${total.gz} bytes gz, at most ${GZIP_LIMIT}`, passed: total.gz <= GZIP_LIMIT };
}

/**
 * The files that a page downloads, and their sum, in bytes.
 * @param {string} directory the built package
 */
export function downloads(directory) {
  const { exports } = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8'));
  const entry = exports['.'].default ?? exports['.'].import;
  const files = [...withImports(join(directory, entry)), join(directory, 'dist/peersockets.wasm')];
  const rows = files.map((file) => ({ file: relative(directory, file), ...sizes(readFileSync(file)) }));
  const total = { file: 'in all' };
  for (const unit of ['raw', 'gz', 'br']) total[unit] = rows.reduce((sum, row) => sum + row[unit], 0);
  return [...rows, total];
}

/** A module and every module it imports, directly or not. */
function withImports(entry) {
  const found = new Set([entry]);
  for (const file of found) {
    for (const [, specifier] of readFileSync(file, 'utf8').matchAll(IMPORT)) found.add(join(dirname(file), specifier));
  }
  return found;
}

function sizes(bytes) {
  return { raw: bytes.length, gz: gzipSync(bytes, { level: 9 }).length, br: brotliCompressSync(bytes).length };
}

function printRow({ file, raw, gz, br }) {
  const columns = [['raw', raw], ['gz', gz], ['br', br]].map(([unit, size]) => `${String(size).padStart(8)} ${unit}`);
  console.log(`${file.padEnd(28)}${columns.join('')}`);
}
