// Cargo builds of what leaves this machine.

import { existsSync, readdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { root } from './paths.mjs';

/**
 * Runs `cargo build`. What it makes names no directory of this machine: a panic message says `crates/ring-0.17.14/src/...`.
 * @param {string[]} parameters what to build
 * @param {'build' | 'rustc'} command `rustc` builds one library or program, and takes more parameters
 */
export async function buildToShip(shell, parameters, options, command = 'build') {
  // The directories to hide are known once they are there.
  await shell.run('cargo', ['fetch', '--locked'], options);
  const renamed = [...crateDirectories().map((directory) => [directory, 'crates']), [root.replace(/\/$/, ''), '.']];
  const flags = renamed.map(([from, to]) => `--remap-path-prefix=${from}=${to}`);
  await shell.run('cargo', [command, '--locked', '--config', `target."cfg(all())".rustflags=${JSON.stringify(flags)}`, ...parameters], options);
}

function crateDirectories() {
  const sources = join(process.env.CARGO_HOME || join(homedir(), '.cargo'), 'registry/src');
  return existsSync(sources) ? readdirSync(sources).map((registry) => join(sources, registry)) : [];
}
