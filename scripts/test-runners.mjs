// Runs the test runners of Rust and Node, and reads their results.

import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { CommandFailure } from './failure.mjs';
import { root } from './paths.mjs';

/** Milliseconds that a file of tests may take: one that waits for good fails, and the others have their turn. */
const FILE_PATIENCE = 20 * 60_000;

/** "test wire::a_claim ... ok <0.012s>"; wasm-bindgen's says FAIL. */
const LIBTEST_LINE = /^test (.+?) \.\.\. (ok|FAIL(?:ED)?)(?: <([\d.]+)s>)?$/gm;

/**
 * Runs a command that prints as Rust's test harness does.
 * @returns {Promise<import('./results.mjs').Result[]>}
 */
export function runLibtest(shell, command, parameters, options) {
  const alreadyLogged = statSync(shell.logFile).size;
  return runToResults(shell, command, parameters, options, () => {
    const results = [];
    const output = readFileSync(shell.logFile).subarray(alreadyLogged).toString();
    for (const [, name, outcome, seconds] of output.matchAll(LIBTEST_LINE)) {
      results.push({ name, passed: outcome === 'ok', seconds: seconds && Number(seconds) });
    }
    return results;
  });
}

/**
 * Runs Node's test runner, one file at a time.
 * @param {string[]} files
 * @returns {Promise<import('./results.mjs').Result[]>}
 */
export function runNodeTests(shell, files) {
  const resultFile = shell.logFile.replace(/\.log$/, '.jsonl');
  const parameters = [
    '--test', '--test-concurrency=1', `--test-timeout=${FILE_PATIENCE}`,
    '--test-reporter=spec', '--test-reporter-destination=stdout',
    `--test-reporter=${join(root, 'scripts/test-reporter.mjs')}`, `--test-reporter-destination=${resultFile}`,
    ...files,
  ];
  return runToResults(shell, process.execPath, parameters, {}, () =>
    readFileSync(resultFile, 'utf8').split('\n').filter(Boolean).map((line) => JSON.parse(line)));
}

/** A runner that fails without a failed test has failed itself. */
async function runToResults(shell, command, parameters, options, readResults) {
  try {
    await shell.run(command, parameters, options);
    return readResults();
  } catch (error) {
    if (!(error instanceof CommandFailure)) throw error;
    const results = readResults();
    return results.some(({ passed }) => !passed) ? results : [...results, { name: error.message, passed: false }];
  }
}
