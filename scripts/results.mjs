// What came of the tests, and how a run of them ends.

import { join } from 'node:path';
import { describeFailure } from './failure.mjs';
import { logDirectory } from './paths.mjs';
import { elapsed } from './progress.mjs';
import { Shell } from './shell.mjs';

const SLOWEST_SHOWN = 10;

/**
 * @typedef {object} Result
 * @property {string} name the test's claim
 * @property {boolean} passed
 * @property {number} [seconds] where the test's runner tells
 */

/**
 * @typedef {object} Suite
 * @property {string} name
 * @property {(shell: Shell) => Promise<Result[]>} run throws if the suite itself could not run
 */

/**
 * Runs every suite, whatever comes of the others; prints the summary and sets the exit code.
 * @param {Suite[]} suites
 */
export async function runSuites(suites) {
  const results = [];
  for (const suite of suites) {
    for (const result of await runSuite(suite)) results.push({ ...result, suite: suite.name });
  }
  summarise(results);
}

async function runSuite({ name, run }) {
  const start = Date.now();
  console.log(`\n== ${name} ==`);
  const shell = new Shell(join(logDirectory, `test-${name}.log`), console.log);
  const results = await run(shell).catch((error) => {
    error.logFile ??= shell.logFile;
    return [{ name: describeFailure(error), passed: false }];
  });
  if (results.length === 0) results.push({ name: 'holds at least one test', passed: false });
  console.log(`== ${name}: ${count(results)}, ${elapsed(start)} ==`);
  return results;
}

function summarise(results) {
  const failed = results.filter(({ passed }) => !passed);
  const slowest = results.filter(({ seconds }) => seconds !== undefined).sort((a, b) => b.seconds - a.seconds).slice(0, SLOWEST_SHOWN);
  printList('slowest', slowest.map(({ suite, name, seconds }) => `${seconds.toFixed(1).padStart(6)} s  ${suite}: ${name}`));
  printList('failed', failed.map(({ suite, name }) => `${suite}: ${name}`));
  console.log(`\n${count(results)}`);
  if (failed.length > 0) process.exitCode = 1;
}

function printList(title, lines) {
  if (lines.length > 0) console.log(`\n${title}:\n${lines.map((line) => `  ${line}`).join('\n')}`);
}

function count(results) {
  const passed = results.filter((result) => result.passed).length;
  return `${passed} passed, ${results.length - passed} failed`;
}
