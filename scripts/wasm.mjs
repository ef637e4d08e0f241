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

const ENABLED = WASM_FEATURES.map((feature) => `--enable-${feature}`);

/**
 * Compiles the browser crate.
 * @param {string[]} features cargo features beyond the default ones
 * @param {string} out the wasm file to be made
 */
export async function compile(shell, features, out) {
  const chosen = features.length ? ['--features', features.join(',')] : [];
  // As a `cdylib` alone: to a crate that is an `rlib` as well, as its tests want it, cargo gives no link-time optimisation.
  const what = ['--package', 'beaker-peersockets', '--lib', '--crate-type', 'cdylib', ...chosen];
  await buildToShip(shell, ['--profile', 'wasm', '--target', 'wasm32-unknown-unknown', ...what], { env: wasmEnvironment() }, 'rustc');
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
  const optimised = join(directory, 'peersockets.wasm');
  cut(glue, DEFAULT_URL);
  for (const pattern of [DISPOSE, EXPORTS]) cut(join(directory, 'glue.d.ts'), pattern);
  await silence(join(directory, 'glue_bg.wasm'));
  await optimise(shell, join(directory, 'glue_bg.wasm'), optimised);
  await shorten(shell, optimised, glue);
  await shell.run(npmProgram('esbuild'), [glue, '--minify', '--format=esm', '--allow-overwrite', `--outfile=${glue}`]);
  rmSync(join(directory, 'glue_bg.wasm'));
  rmSync(join(directory, 'glue_bg.wasm.d.ts'));
}

/** Makes a panic a trap and nothing else: std on this target shows its message to nobody, and pages would download what writes it. */
async function silence(wasm) {
  const { default: binaryen } = await import('binaryen');
  const module = binaryen.readBinary(readFileSync(wasm));
  const neverEnds = (each) => binaryen.getExpressionType(binaryen.getFunctionInfo(each).body) === binaryen.unreachable;
  const functions = Array.from({ length: module.getNumFunctions() }, (_, index) => module.getFunctionByIndex(index));
  const panics = functions.filter((each) => PANIC.test(binaryen.getFunctionInfo(each).name) && neverEnds(each));
  if (panics.length === 0) throw new Failure(`${basename(wasm)} names no function that panics`, 'adapt the patterns in scripts/wasm.mjs to the version of rustc');
  for (const panic of panics) binaryen.Function.setBody(panic, module.unreachable());
  writeFileSync(wasm, module.emitBinary());
  module.dispose();
}

/** What Rust's own libraries call when they have to give up. */
const PANIC = /^<?(core|alloc)(\[\w+\])?::.*\b(panicking::.+|panic_\w+|\w+_fail(ed|_rt)?|handle_(alloc_)?error|capacity_overflow)(::h\w+)?$/;

/** wasm-opt strips, not cargo's profile: wasm-bindgen reads the target features from a section that cargo would strip. */
async function optimise(shell, input, output) {
  await shell.run(npmProgram('wasm-opt'), [
    '--remove-exports=ring_core_*',
    '-Oz', '--converge',
    // A big function copied into its only caller saves bytes, but costs more of them once compressed: 4 % of the whole.
    '--one-caller-inline-max-function-size=10',
    ...ENABLED,
    '--strip-debug', '--strip-producers', '--strip-target-features',
    input, '-o', output,
  ]);
}

/** Gives all that the wasm and its glue call each other by short names: wasm-bindgen's hold a hash each, which nothing compresses. */
async function shorten(shell, wasm, glue) {
  const map = await shell.run(npmProgram('wasm-opt'), [...ENABLED, '--minify-imports-and-exports-and-modules', wasm, '-o', wasm]);
  const { imports, exports } = JSON.parse(map);
  const foreign = imports.find(([module]) => module !== './glue_bg.js');
  if (foreign) throw new Failure(`the wasm imports ${foreign[1]} from ${foreign[0]}: C that nobody linked in`, 'find what calls it, and do without');
  const names = new Map([...imports.map(([, long, short]) => [long, short]), ...exports]);
  const short = (long) => {
    if (!names.has(long)) throw new Failure(`${basename(wasm)} has no ${long}`, 'adapt the patterns in scripts/wasm.mjs to the version of wasm-bindgen');
    return names.get(long);
  };
  writeFileSync(glue, readFileSync(glue, 'utf8').replace(IMPORTED_OR_EXPORTED, short).replace(MODULE, MINIFIED_MODULE));
}

/** A function that the glue gives to the wasm, or something of the wasm that it uses. */
const IMPORTED_OR_EXPORTED = /(?<=^ *)__wb\w+(?=: )|(?<=\bwasm\.)\w+/gm;
/** What the glue calls itself there, and what wasm-opt calls it. */
const MODULE = /"\.\/glue_bg\.js"(?=: import0)/;
const MINIFIED_MODULE = 'a';

/** The glue's own guess at the wasm's address, which bundlers would follow; our loader is the one that resolves it. */
const DEFAULT_URL = /\n *if \(module_or_path === undefined\) \{\n *module_or_path = new URL\('glue_bg\.wasm', import\.meta\.url\);\n *\}/;

/** A method that TypeScript knows only with newer `lib` settings than our users may have. */
const DISPOSE = /\n *\[Symbol\.dispose\]\(\): void;/g;

/** The names that the wasm's exports had. */
const EXPORTS = /(?<=export interface InitOutput \{)[^}]*/;

function cut(file, pattern) {
  const source = readFileSync(file, 'utf8');
  const remaining = source.replace(pattern, '');
  if (remaining === source) throw new Failure(`wasm-bindgen's ${basename(file)} is not as expected`, 'adapt the patterns in scripts/wasm.mjs to its version');
  writeFileSync(file, remaining);
}
