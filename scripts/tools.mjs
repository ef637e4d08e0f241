// Programs that cargo builds: once per machine, into the cache, each version in its own directory.

import { existsSync, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { cacheDirectory, root } from './paths.mjs';

/** wasm-bindgen's program and crate must be of one version. */
export const wasmBindgen = tool('wasm-bindgen-cli', 'wasm-bindgen', lockedVersion('wasm-bindgen'));
export const wasmPack = tool('wasm-pack', 'wasm-pack', '0.15.1');
export const geckodriver = tool('geckodriver', 'geckodriver', '0.37.1');
export const cargoDeny = tool('cargo-deny', 'cargo-deny', '0.20.2');

/** PATH with the tools in front. */
export function pathWithTools() {
  return [...[wasmBindgen, wasmPack, geckodriver, cargoDeny].map(({ directory }) => directory), process.env.PATH].join(delimiter);
}

/** The step that builds a program from the crates registry. */
function tool(crate, program, version) {
  const home = join(cacheDirectory, 'tools', `${crate}-${version}`);
  return {
    name: crate,
    title: `build ${crate} ${version}`,
    directory: join(home, 'bin'),
    program: join(home, 'bin', program),
    needed: () => !existsSync(join(home, 'bin', program)),
    // Not --locked: some lock files name versions that the registry has withdrawn.
    run: (shell) => shell.run('cargo', ['install', crate, '--version', version, '--root', home], { env: quickBuild }),
  };
}

/** Tools run for seconds: their build time counts, not their speed. */
const quickBuild = {
  CARGO_TARGET_DIR: join(cacheDirectory, 'tools', 'target'),
  CARGO_PROFILE_RELEASE_OPT_LEVEL: '1',
  CARGO_PROFILE_RELEASE_LTO: 'off',
  CARGO_PROFILE_RELEASE_CODEGEN_UNITS: '16',
  CARGO_PROFILE_RELEASE_DEBUG: 'none',
};

function lockedVersion(crate) {
  const lock = readFileSync(join(root, 'Cargo.lock'), 'utf8');
  return new RegExp(`^name = "${crate}"\\nversion = "(.*)"$`, 'm').exec(lock)[1];
}
