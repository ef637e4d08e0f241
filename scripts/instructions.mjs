// How many instructions the core's data path takes: steady where seconds are not, so that CI can hold them to what they were.

import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root, targetDirectory } from './paths.mjs';

const buildDirectory = join(targetDirectory, 'instructions');
const program = join(buildDirectory, 'release/data-path');
/** The ciphers and curves that pages run: without them the count would depend on the processor. */
const SOFT = ['--cfg=chacha20_force_soft', '--cfg=poly1305_force_soft', '--cfg=curve25519_dalek_backend="serial"'];
const PATHS = ['handshakes', 'small', 'large'];
const kept = join(root, 'bench/instructions.json');
/** What the counts may grow by before someone has to say that it is right. */
const TOLERANCE = 0.03;

/**
 * Counts, and compares with what is kept.
 * @returns {Promise<import('./results.mjs').Result[]>}
 */
export async function checkInstructions(shell) {
  const { conditions, counts } = await countInstructions(shell);
  const before = JSON.parse(readFileSync(kept, 'utf8'));
  return PATHS.map((path) => {
    const [now, then] = [counts[path], before.counts[path]];
    const change = `${now > then ? '+' : ''}${(100 * (now / then - 1)).toFixed(2)} %`;
    const name = `${path}: ${now.toLocaleString('en')} instructions, ${change}`;
    console.log(name);
    // Another compiler makes another program.
    if (conditions !== before.conditions) return { name: `${name} (not compared: ${conditions}, and before ${before.conditions})`, passed: true };
    const passed = now <= then * (1 + TOLERANCE);
    const remedy = `at most ${100 * TOLERANCE} % more; if it is worth it: npm run bench -- instructions`;
    return { name: passed ? name : `${name} (${remedy})`, passed };
  });
}

/** Counts, and keeps it. */
export async function keepInstructions(shell) {
  writeFileSync(kept, `${JSON.stringify(await countInstructions(shell), null, 2)}\n`);
}

async function countInstructions(shell) {
  const flags = `target."cfg(all())".rustflags=${JSON.stringify(SOFT)}`;
  const parameters = ['build', '--locked', '--release', '--config', flags, '--package', 'peersockets-bench', '--bin', 'data-path'];
  await shell.run('cargo', parameters, { env: { CARGO_TARGET_DIR: buildDirectory } });
  const counts = {};
  for (const path of PATHS) {
    const output = join(buildDirectory, `${path}.callgrind`);
    await shell.run('valgrind', ['--tool=callgrind', `--callgrind-out-file=${output}`, program, path]);
    counts[path] = Number(/^(?:summary|totals): (\d+)/m.exec(readFileSync(output, 'utf8'))[1]);
  }
  const compiler = execFileSync('rustc', ['--version'], { encoding: 'utf8' }).trim();
  return { conditions: `${compiler} on ${process.arch}`, counts };
}
