// Lays out the npm package: WebAssembly, TypeScript's output, the classic script, and the hashes of all.

import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, relative, sep } from 'node:path';
import { npmProgram } from './npm.mjs';
import { packageDirectory, root, targetDirectory } from './paths.mjs';
import { bind, compile } from './wasm.mjs';

const template = join(root, 'pkg-template');
/** Where TypeScript, editors and documentation find the glue's types. */
const templateGlue = join(template, 'src/wasm');
const readme = join(template, 'README.md');
const classicScript = 'polyfill.global.js';

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
  copyFileSync(join(template, 'src/peersockets.wasm.d.ts'), join(scratch, 'dist/peersockets.wasm.d.ts'));
  await shell.run(npmProgram('tsc'), ['--project', template, '--noEmit', 'false', '--outDir', join(scratch, 'dist')]);
  await stripComments(shell, join(scratch, 'dist'));
  await bundleClassicScript(shell, scratch);
  for (const file of copiedFiles()) copyFileSync(file, join(scratch, basename(file)));
  const hashes = hashFiles(scratch);
  writeFileSync(join(scratch, 'dist/integrity.json'), `${JSON.stringify(hashes, null, 2)}\n`);
  writeFileSync(join(scratch, 'README.md'), fillIn(readFileSync(readme, 'utf8'), hashes));
  rmSync(out, { recursive: true, force: true });
  mkdirSync(dirname(out), { recursive: true });
  renameSync(scratch, out);
}

/** The declarations keep the comments, for editors; a page that downloads the modules as they are needs none. */
async function stripComments(shell, directory) {
  const modules = readdirSync(directory).filter((file) => file.endsWith('.js')).map((file) => join(directory, file));
  await shell.run(npmProgram('esbuild'), [...modules, `--outdir=${directory}`, '--allow-overwrite', '--target=es2022']);
}

/** One file without imports, for pages whose own scripts are classic ones. It knows the hash of the WebAssembly it belongs to. */
async function bundleClassicScript(shell, directory) {
  const entry = join(directory, 'dist/polyfill.global.js');
  await shell.run(npmProgram('esbuild'), [
    entry, '--bundle', '--minify', '--format=iife', '--target=es2022',
    `--define:wasmIntegrity=${JSON.stringify(integrityOf(join(directory, 'dist/peersockets.wasm')))}`,
    `--outfile=${join(directory, classicScript)}`,
  ]);
  rmSync(entry);
  rmSync(entry.replace(/\.js$/, '.d.ts'));
}

/** What the package holds as it lies in the repository. */
function copiedFiles() {
  const licences = readdirSync(root).filter((file) => file.startsWith('LICENSE-'));
  return [join(template, 'package.json'), ...licences.map((file) => join(root, file))];
}

/** For each file that a page may load, what `integrity` of a `<script>`, of `fetch` or of an import map takes. */
function hashFiles(directory) {
  const files = readdirSync(directory, { recursive: true }).filter((file) => /\.(js|wasm)$/.test(file)).sort();
  return Object.fromEntries(files.map((file) => [file.split(sep).join('/'), integrityOf(join(directory, file))]));
}

function integrityOf(file) {
  return `sha384-${createHash('sha384').update(readFileSync(file)).digest('base64')}`;
}

/** The README, with what is known only when the package is built. */
function fillIn(text, hashes) {
  const { version } = JSON.parse(readFileSync(join(template, 'package.json'), 'utf8'));
  return text.replaceAll('{version}', version).replaceAll('{integrity}', hashes[classicScript]);
}

/** Everything but the wasm that decides what the package holds. */
function packageSources() {
  const typescript = readdirSync(template, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((file) => dirname(file) !== templateGlue);
  const scripts = ['package.mjs', 'wasm.mjs'].map((file) => join(root, 'scripts', file));
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
