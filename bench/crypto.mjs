// npm run bench -- crypto: sealing and opening in our wasm, against what else a page can call.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';
import { buildToShip } from '../scripts/cargo.mjs';
import { root, targetDirectory } from '../scripts/paths.mjs';
import { bind } from '../scripts/wasm.mjs';
import { wasmEnvironment } from '../scripts/wasm-target.mjs';
import { withBrowser, withFiles } from './chromium.mjs';
import { figure, goal, median, table, writeSection } from './results.mjs';
import { versionOf } from './servers.mjs';

const SIZES = [16, 64, 100, 256, 1_024, 4_096, 16_384, 65_536];
const GOAL_UP_TO = 1_024;
const ROUNDS = 5;
const MILLISECONDS = 150;
const scratch = join(targetDirectory, 'bench-crypto');

/** The step that builds our encryption by itself. */
export const buildCrypto = {
  name: 'build-bench-crypto',
  title: 'build the encryption for the page',
  run: async (shell) => {
    const what = ['--profile', 'wasm', '--target', 'wasm32-unknown-unknown', '--package', 'peersockets-bench-wasm'];
    await buildToShip(shell, what, { env: wasmEnvironment() });
    await bind(shell, join(targetDirectory, 'wasm32-unknown-unknown/wasm/peersockets_bench_wasm.wasm'), scratch);
  },
};

export async function benchCrypto() {
  const { outputFiles: [{ text }] } = await build({
    entryPoints: [join(root, 'bench/crypto-page.js')], bundle: true, write: false, format: 'iife',
    define: { global: 'globalThis' }, logLevel: 'error',
  });
  const files = {
    '/': { type: 'text/html', body: '<!doctype html><meta charset="utf-8"><script src="/page.js"></script>' },
    '/page.js': { type: 'text/javascript', body: text },
    '/ours.wasm': { type: 'application/wasm', body: readFileSync(join(scratch, 'peersockets.wasm')) },
  };
  const { samples, version } = await withFiles(files, (url) => withBrowser(async (browser) => {
    const page = await browser.newPage();
    await page.goto(url);
    const parameters = { wasm: '/ours.wasm', sizes: SIZES, rounds: ROUNDS, milliseconds: MILLISECONDS };
    return { samples: await page.evaluate((parameters) => window.measure(parameters), parameters), version: browser.version() };
  }));
  const names = Object.keys(samples);
  const rate = (name, size) => median(samples[name][size]);
  const isOurs = (name) => name.startsWith('ours');
  const best = (size, isWanted) => Math.max(...names.filter(isWanted).map((name) => rate(name, size)));
  const ours = (size) => rate('ours, a call each', size);
  const rows = names.map((name) => [name, ...SIZES.map((size) => `${figure(rate(name, size))} (${figure(rate(name, size) * size / 1e6)})`)]);
  const ratios = ['ours, a call each / best other', ...SIZES.map((size) => figure(ours(size) / best(size, (name) => !isOurs(name))))];
  const goals = SIZES.filter((size) => size <= GOAL_UP_TO).map((size) => {
    const ratio = ours(size) / best(size, (name) => !isOurs(name));
    return goal(`first at ${figure(size)} bytes: ${figure(ratio)} × the best other`, ratio > 1);
  });
  writeSection('crypto', {
    Chromium: version, 'sodium-javascript': versionOf('sodium-javascript'), '@noble/ciphers': versionOf('@noble/ciphers'),
  }, [
    `Messages sealed and opened per second (MB/s), by bytes of a message, in one page; median of ${ROUNDS} rounds in turn. Ours is the secret stream
of a link: XChaCha20-Poly1305 with framing.`,
    table(['', ...SIZES.map((size) => `${figure(size)} B`)], [...rows, ratios]),
    goals.join('\n'),
  ].join('\n\n'));
}
