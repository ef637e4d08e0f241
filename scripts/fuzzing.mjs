// Builds and runs the fuzz targets, on stable Rust: LLVM's coverage passes are switched on by flags, so that no nightly compiler is needed.

import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { basename, join, relative } from 'node:path';
import { CommandFailure } from './failure.mjs';
import { root, targetDirectory } from './paths.mjs';

export const fuzzDirectory = join(root, 'fuzz');
const corpusDirectory = join(fuzzDirectory, 'corpus');
const buildDirectory = join(targetDirectory, 'fuzz');

const COVERAGE_FLAGS = [
  '-Cpasses=sancov-module',
  '-Cllvm-args=-sanitizer-coverage-level=4',
  '-Cllvm-args=-sanitizer-coverage-inline-8bit-counters',
  '-Cllvm-args=-sanitizer-coverage-pc-table',
].join(' ');

/**
 * Builds every target and runs those named, each for some seconds.
 * @returns {Promise<import('./results.mjs').Result[]>}
 */
export async function fuzz(shell, seconds, targets) {
  const binaries = await buildTargets(shell);
  const waiting = [...targets];
  const results = [];
  const runWaiting = async () => {
    for (let target = waiting.shift(); target; target = waiting.shift()) {
      results.push(await runTarget(shell, join(binaries, target), seconds));
    }
  };
  // Each takes one core.
  await Promise.all(Array.from({ length: availableParallelism() }, runWaiting));
  return results;
}

/** The names of all targets. */
export function fuzzTargets() {
  return readdirSync(join(fuzzDirectory, 'fuzz_targets')).map((file) => basename(file, '.rs'));
}

async function buildTargets(shell) {
  const host = /^host: (.*)$/m.exec(execFileSync('rustc', ['-vV'], { encoding: 'utf8' }))[1];
  // Naming the target keeps the flags away from build scripts.
  await shell.run('cargo', ['build', '--release', '--target', host], {
    cwd: fuzzDirectory,
    env: {
      CARGO_TARGET_DIR: buildDirectory,
      RUSTFLAGS: COVERAGE_FLAGS,
      CARGO_PROFILE_RELEASE_DEBUG_ASSERTIONS: 'true',
      CARGO_PROFILE_RELEASE_OVERFLOW_CHECKS: 'true',
    },
  });
  return join(buildDirectory, host, 'release');
}

/** What is new goes into the first directory given: out of the checkout, whose corpus is only read. */
async function runTarget(shell, binary, seconds) {
  const target = basename(binary);
  const finds = join(buildDirectory, 'finds', target);
  const crashes = join(buildDirectory, 'crashes', target);
  for (const directory of [finds, crashes]) mkdirSync(directory, { recursive: true });
  const limits = [`-max_total_time=${seconds}`, '-timeout=10', '-verbosity=0', '-print_final_stats=1'];
  try {
    await shell.run(binary, [...limits, `-artifact_prefix=${crashes}/`, finds, join(corpusDirectory, target)]);
    return { name: `${target} survives ${seconds} s`, passed: true };
  } catch (error) {
    if (!(error instanceof CommandFailure)) throw error;
    return { name: `${target} survives ${seconds} s (the input that it did not survive: ${relative(root, crashes)}/)`, passed: false };
  }
}
