// The Rust half of the npm package: cargo, then wasm-bindgen, then wasm-opt.

import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { buildToShip } from './cargo.mjs';
import { Failure } from './failure.mjs';
import { npmProgram } from './npm.mjs';
import { targetDirectory } from './paths.mjs';
import { wasmBindgen } from './tools.mjs';
import { wasmEnvironment } from './wasm-target.mjs';

/** What rustc may emit for wasm32, and every browser since 2022 understands. */
const WASM_FEATURES = ['bulk-memory', 'multivalue', 'mutable-globals', 'nontrapping-float-to-int', 'reference-types', 'sign-ext'];

/**
 * Compiles the browser crate.
 * @param {string[]} features cargo features beyond the default ones
 * @param {string} out the wasm file to be made
 */
export async function compile(shell, features, out) {
  const chosen = features.length ? ['--features', features.join(',')] : [];
  const what = ['--profile', 'wasm', '--target', 'wasm32-unknown-unknown', '--package', 'beaker-peersockets', '--lib', ...chosen];
  await buildToShip(shell, what, { env: wasmEnvironment() });
  mkdirSync(dirname(out), { recursive: true });
  // Whatever the features, cargo calls it the same.
  copyFileSync(join(targetDirectory, 'wasm32-unknown-unknown/wasm/beaker_peersockets.wasm'), out);
}

/** Makes `glue.js`, `glue.d.ts` and `peersockets.wasm` of a compiled wasm file. */
export async function bind(shell, wasm, directory) {
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
  await shell.run(wasmBindgen.program, ['--target', 'web', '--out-name', 'glue', '--out-dir', directory, wasm]);
  const glue = join(directory, 'glue.js');
  cut(glue, DEFAULT_URL);
  cut(join(directory, 'glue.d.ts'), DISPOSE);
  await shell.run(npmProgram('esbuild'), [glue, '--minify', '--format=esm', '--allow-overwrite', `--outfile=${glue}`]);
  await optimise(shell, join(directory, 'glue_bg.wasm'), join(directory, 'peersockets.wasm'));
  rmSync(join(directory, 'glue_bg.wasm'));
  rmSync(join(directory, 'glue_bg.wasm.d.ts'));
}

/** wasm-opt strips, not cargo's profile: wasm-bindgen reads the target features from a section that cargo would strip. */
async function optimise(shell, input, output) {
  await shell.run(npmProgram('wasm-opt'), [
    '--remove-exports=ring_core_*',
    '-Oz', '--converge',
    // A big function copied into its only caller saves bytes, but costs more of them once compressed: 4 % of the whole.
    '--one-caller-inline-max-function-size=10',
    ...WASM_FEATURES.map((feature) => `--enable-${feature}`),
    '--strip-debug', '--strip-producers', '--strip-target-features',
    input, '-o', output,
  ]);
}

/** The glue's own guess at the wasm's address, which bundlers would follow; our loader is the one that resolves it. */
const DEFAULT_URL = /\n *if \(module_or_path === undefined\) \{\n *module_or_path = new URL\('glue_bg\.wasm', import\.meta\.url\);\n *\}/;

/** A method that TypeScript knows only with newer `lib` settings than our users may have. */
const DISPOSE = /\n *\[Symbol\.dispose\]\(\): void;/g;

function cut(file, pattern) {
  const source = readFileSync(file, 'utf8');
  const remaining = source.replace(pattern, '');
  if (remaining === source) throw new Failure(`wasm-bindgen's ${basename(file)} is not as expected`, 'adapt the patterns in scripts/wasm.mjs to its version');
  writeFileSync(file, remaining);
}
