// Lays out the npm package: WebAssembly, TypeScript's output, and the classic script.

import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { npmProgram } from './npm.mjs';
import { packageDirectory, root, targetDirectory } from './paths.mjs';
import { bind, compile } from './wasm.mjs';

const template = join(root, 'pkg-template');
/** Where TypeScript, editors and documentation find the glue's types. */
const templateGlue = join(template, 'src/wasm');

/**
 * The step that builds the package.
 * @param {{ features?: string[], out?: string }} options `features`: cargo's; `out`: the package's directory
 */
export function buildPackage({ features = [], out = packageDirectory } = {}) {
  return {
    name: `build-${basename(out)}`,
    title: `build the npm package in ${relative(root, out)}/`,
    run: async (shell) => {
      const wasm = await compile(shell, features);
      const stamp = new Stamp(out, [wasm, ...packageSources()]);
      if (stamp.isCurrent()) return;
      await assemble(shell, wasm, out);
      stamp.write();
    },
  };
}

async function assemble(shell, wasm, out) {
  const scratch = join(targetDirectory, 'package', basename(out));
  const bound = `${scratch}-wasm`;
  await bind(shell, wasm, bound);
  rmSync(scratch, { recursive: true, force: true });
  mkdirSync(join(scratch, 'dist/wasm'), { recursive: true });
  mkdirSync(templateGlue, { recursive: true });
  for (const file of ['glue.js', 'glue.d.ts']) {
    copyFileSync(join(bound, file), join(templateGlue, file));
    copyFileSync(join(bound, file), join(scratch, 'dist/wasm', file));
  }
  copyFileSync(join(bound, 'peersockets.wasm'), join(scratch, 'dist/peersockets.wasm'));
  await shell.run(npmProgram('tsc'), ['--project', template, '--noEmit', 'false', '--outDir', join(scratch, 'dist')]);
  await bundleClassicScript(shell, scratch);
  for (const file of copiedFiles()) copyFileSync(file, join(scratch, basename(file)));
  rmSync(out, { recursive: true, force: true });
  mkdirSync(dirname(out), { recursive: true });
  renameSync(scratch, out);
}

/** One file without imports, for pages whose own scripts are classic ones. */
async function bundleClassicScript(shell, directory) {
  const entry = join(directory, 'dist/polyfill.global.js');
  await shell.run(npmProgram('esbuild'), [
    entry, '--bundle', '--minify', '--format=iife', '--target=es2022',
    '--define:import.meta.url=moduleUrl', `--inject:${join(root, 'scripts/classic-script-url.js')}`,
    `--outfile=${join(directory, 'polyfill.global.js')}`,
  ]);
  rmSync(entry);
  rmSync(entry.replace(/\.js$/, '.d.ts'));
}

/** What the package holds as it lies in the repository. */
function copiedFiles() {
  const documents = readdirSync(root).filter((file) => /^(README\.md|LICENSE-.*)$/.test(file));
  return [join(template, 'package.json'), ...documents.map((file) => join(root, file))];
}

/** Everything but the wasm that decides what the package holds. */
function packageSources() {
  const typescript = readdirSync(template, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((file) => dirname(file) !== templateGlue);
  const scripts = ['package.mjs', 'wasm.mjs', 'classic-script-url.js'].map((file) => join(root, 'scripts', file));
  return [...typescript, ...scripts, join(root, 'package-lock.json'), ...copiedFiles()];
}

/** Remembers of which files a directory was built. */
class Stamp {
  constructor(directory, sources) {
    this.directory = directory;
    this.file = join(targetDirectory, 'package', `${basename(directory)}.stamp`);
    const hash = createHash('sha256');
    for (const source of sources.sort()) hash.update(`${source}\0`).update(createHash('sha256').update(readFileSync(source)).digest());
    this.text = hash.digest('hex');
  }

  isCurrent() {
    return existsSync(this.directory) && existsSync(this.file) && readFileSync(this.file, 'utf8') === this.text;
  }

  write() {
    writeFileSync(this.file, this.text);
  }
}
