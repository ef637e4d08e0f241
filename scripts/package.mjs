// Lays out the npm package: WebAssembly, declarations, bundles for pages and for native peers, the classic script, and the hashes of all.

import { createHash } from 'node:crypto';
import { copyFileSync, cpSync, existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
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
 * @param {{ features?: string[], out?: string, isNative?: boolean }} options `features`: cargo's; `out`: the package's directory;
 * `isNative`: whether the entry for native peers is in it
 */
export function buildPackage({ features = [], out = packageDirectory, isNative = true } = {}) {
  return {
    name: `build-${basename(out)}`,
    title: `build the npm package in ${relative(root, out)}/`,
    run: async (shell) => {
      const scratch = join(targetDirectory, 'package', basename(out));
      const wasm = { page: `${scratch}-page.wasm`, ...(isNative && { host: `${scratch}-host.wasm` }) };
      await compile(shell, features, wasm.page);
      if (isNative) await compile(shell, [...features, 'host'], wasm.host);
      const stamp = new Stamp(out, [...Object.values(wasm), ...packageSources()]);
      if (stamp.isCurrent()) return;
      await assemble(shell, wasm, scratch);
      rmSync(out, { recursive: true, force: true });
      mkdirSync(dirname(out), { recursive: true });
      renameSync(scratch, out);
      stamp.write();
    },
  };
}

async function assemble(shell, wasm, scratch) {
  const dist = join(scratch, 'dist');
  const modules = `${scratch}-modules`;
  const bound = `${scratch}-wasm`;
  const boundHost = `${scratch}-host-wasm`;
  await bind(shell, wasm.page, bound);
  for (const directory of [scratch, modules]) rmSync(directory, { recursive: true, force: true });
  for (const directory of [dist, modules]) mkdirSync(join(directory, 'wasm'), { recursive: true });
  mkdirSync(templateGlue, { recursive: true });
  for (const file of ['glue.js', 'glue.d.ts']) copyFileSync(join(bound, file), join(templateGlue, file));
  copyFileSync(join(bound, 'glue.js'), join(modules, 'wasm/glue.js'));
  copyFileSync(join(bound, 'glue.d.ts'), join(dist, 'wasm/glue.d.ts'));
  copyFileSync(join(bound, 'peersockets.wasm'), join(dist, 'peersockets.wasm'));
  copyFileSync(join(template, 'src/peersockets.wasm.d.ts'), join(dist, 'peersockets.wasm.d.ts'));
  if (wasm.host) {
    await bind(shell, wasm.host, boundHost);
    copyFileSync(join(boundHost, 'glue.d.ts'), join(templateGlue, 'host.d.ts'));
    copyFileSync(join(boundHost, 'peersockets.wasm'), join(dist, 'peersockets-host.wasm'));
  }
  await shell.run(npmProgram('tsc'), [
    '--project', template, '--noEmit', 'false', '--outDir', modules, '--declarationDir', dist, '--sourceMap', '--inlineSources',
  ]);
  await bundlePages(shell, modules, dist);
  if (wasm.host) await bundleNative(shell, modules, boundHost, dist);
  await bundleClassicScript(shell, modules, scratch);
  for (const unnamed of ['native', 'polyfill.global.d.ts']) rmSync(join(dist, unnamed), { recursive: true });
  for (const [from, to] of copiedFiles()) copyFileSync(from, join(scratch, to));
  const hashes = hashFiles(scratch);
  writeFileSync(join(dist, 'integrity.json'), `${JSON.stringify(hashes, null, 2)}\n`);
  writeFileSync(join(scratch, 'README.md'), fillIn(readFileSync(readme, 'utf8'), hashes));
}

/**
 * The entries for pages, each one file, so that no page waits for imports of imports: half of what its modules are one by one. What is
 * beside the main entry imports that, to be of the same classes; the slim one can't, since bundlers would copy the WebAssembly. Source
 * maps show TypeScript to whoever debugs.
 */
async function bundlePages(shell, modules, dist) {
  const entries = ['index', 'slim', 'polyfill'].map((entry) => join(modules, `${entry}.js`));
  await shell.run(npmProgram('esbuild'), [
    ...entries, '--bundle', '--external:./index.js', '--minify', '--format=esm', '--target=es2022', '--sourcemap', `--outdir=${dist}`,
  ]);
}

/**
 * One module for Node, of the same modules with the glue of the other WebAssembly, and of npm `ws`. Its `WebSocket` takes the place of
 * the browser's; its optional parts, which are not there, are left out.
 */
async function bundleNative(shell, modules, boundHost, dist) {
  const nativeModules = `${modules}-native`;
  rmSync(nativeModules, { recursive: true, force: true });
  cpSync(modules, nativeModules, { recursive: true });
  copyFileSync(join(boundHost, 'glue.js'), join(nativeModules, 'wasm/glue.js'));
  await shell.run(npmProgram('esbuild'), [
    join(nativeModules, 'hyperdrive.js'), '--bundle', '--platform=node', '--format=esm', '--target=node20',
    `--inject:${join(nativeModules, 'native/web-socket.js')}`,
    '--define:process.env.WS_NO_BUFFER_UTIL="1"', '--define:process.env.WS_NO_UTF_8_VALIDATE="1"',
    `--banner:js=import { createRequire } from 'node:module';\nconst require = createRequire(import.meta.url);`,
    `--outfile=${join(dist, 'hyperdrive.js')}`,
  ]);
}

/** One file without imports, for pages whose own scripts are classic ones. It knows the hash of the WebAssembly it belongs to. */
async function bundleClassicScript(shell, modules, directory) {
  await shell.run(npmProgram('esbuild'), [
    join(modules, 'polyfill.global.js'), '--bundle', '--minify', '--format=iife', '--target=es2022',
    `--define:wasmIntegrity=${JSON.stringify(integrityOf(join(directory, 'dist/peersockets.wasm')))}`,
    `--outfile=${join(directory, classicScript)}`,
  ]);
}

/** What the package holds as it lies here, and how it is called there: among it the licence of what the bundle has of npm `ws`. */
function copiedFiles() {
  const licences = readdirSync(root).filter((file) => file.startsWith('LICENSE-'));
  return [
    [join(template, 'package.json'), 'package.json'],
    ...licences.map((file) => [join(root, file), file]),
    [join(root, 'node_modules/ws/LICENSE'), 'LICENSE-ws'],
  ];
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
  return [...typescript, ...scripts, join(root, 'package-lock.json'), ...copiedFiles().map(([from]) => from)];
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
