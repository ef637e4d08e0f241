// Loaded before anything else (see package.json): fails with one line where Node or Rust is too old.
// It must be readable by the Node that is too old: no modules, no newer syntax.

'use strict';

const spawnSync = require('child_process').spawnSync;
const readFileSync = require('fs').readFileSync;
const join = require('path').join;

const root = join(__dirname, '..');
const AGAIN = 'then run it again';

requireNode(/^>=(.+)$/.exec(require(join(root, 'package.json')).engines.node)[1]);
requireRust(/^rust-version = "(.+)"$/m.exec(readFileSync(join(root, 'Cargo.toml'), 'utf8'))[1]);

function requireNode(needed) {
  const present = process.versions.node;
  if (isOlder(present, needed)) fail(`Node ${present} is too old, ${needed} or newer is needed`, `install it from https://nodejs.org, ${AGAIN}`);
}

function requireRust(needed) {
  const rustc = spawnSync('rustc', ['-V'], { cwd: root, encoding: 'utf8' });
  if (rustc.error) fail(`rustc is missing, ${needed} or newer is needed`, `install Rust as described on https://rustup.rs, ${AGAIN}`);
  const version = /^rustc (\d+\.\d+\.\d+)/.exec(rustc.stdout);
  if (!version) fail(`\`rustc -V\` does not work (${rustc.stderr.split('\n')[0]})`, `run rustup default stable, ${AGAIN}`);
  if (isOlder(version[1], needed)) fail(`rustc ${version[1]} is too old, ${needed} or newer is needed`, `run rustup update stable, ${AGAIN}`);
}

/** Compares versions number by number; numbers that were left out are 0. */
function isOlder(version, than) {
  const numbers = version.split('.').map(Number);
  const others = than.split('.').map(Number);
  const differing = others.findIndex((other, index) => (numbers[index] || 0) !== other);
  return differing !== -1 && (numbers[differing] || 0) < others[differing];
}

function fail(what, remedy) {
  console.error(`failed: ${what}: ${remedy}`);
  process.exit(1);
}
