// The test suites, each by the name that `npm test -- NAME` takes.

import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fuzz, fuzzDirectory, fuzzTargets } from './fuzzing.mjs';
import { checkInstructions } from './instructions.mjs';
import { buildPackage } from './package.mjs';
import { packageDirectory, root, targetDirectory } from './paths.mjs';
import { runSteps } from './progress.mjs';
import { buildRelay } from './relay.mjs';
import { buildRelayPackages } from './relay-package.mjs';
import { checkSize } from './size.mjs';
import { runLibtest, runNodeTests } from './test-runners.mjs';
import { pathWithTools } from './tools.mjs';
import { wasmEnvironment } from './wasm-target.mjs';

const FUZZ_SECONDS = 60;
const WASM_TEST_SECONDS = 120;
const testsDirectory = join(root, 'tests');

/**
 * Every suite, in the order in which they run.
 * @returns {import('./results.mjs').Suite[]}
 */
export function allSuites() {
  return [
    { name: 'rust', run: runRustTests },
    { name: 'wasm', run: runWasmTests },
    { name: 'size', run: checkPackage },
    { name: 'instructions', run: checkInstructions },
    ...nodeSuites(),
    ...(existsSync(fuzzDirectory) ? [{ name: 'fuzz', run: (shell) => fuzz(shell, FUZZ_SECONDS, fuzzTargets()) }] : []),
  ];
}

async function runRustTests(shell) {
  const everything = ['test', '--workspace', '--no-fail-fast'];
  // The harness tells times only as an unstable option; set for the test binaries alone, the variable rebuilds nothing.
  const timed = ['--config', 'target."cfg(all())".runner="env RUSTC_BOOTSTRAP=1"', '--', '-Z', 'unstable-options', '--report-time'];
  const tests = await runLibtest(shell, 'cargo', [...everything, '--lib', '--bins', '--tests', ...timed]);
  const examples = await runLibtest(shell, 'cargo', [...everything, '--doc']);
  return [...tests, ...examples];
}

/** The same tests in each browser; they are compiled once. */
async function runWasmTests(shell) {
  const env = { ...wasmEnvironment(), PATH: pathWithTools(), WASM_BINDGEN_TEST_TIMEOUT: String(WASM_TEST_SECONDS) };
  const results = [];
  for (const [browser, flag] of [['Chromium', '--chrome'], ['Firefox', '--firefox']]) {
    const ofBrowser = await runLibtest(shell, 'wasm-pack', ['test', '--headless', flag, '--mode', 'no-install'], { env });
    results.push(...ofBrowser.map((result) => ({ ...result, name: `${browser}: ${result.name}` })));
  }
  return results;
}

async function checkPackage() {
  await build();
  return checkSize(packageDirectory);
}

/** One suite per directory of tests/ that holds `*.test.mjs`. */
function nodeSuites() {
  return readdirSync(testsDirectory, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => ({ name, files: testFiles(join(testsDirectory, name)) }))
    .filter(({ files }) => files.length > 0)
    .map(({ name, files }) => ({
      name,
      run: async (shell) => {
        await build();
        return runNodeTests(shell, files);
      },
    }));
}

function testFiles(directory) {
  return readdirSync(directory, { recursive: true }).filter((file) => file.endsWith('.test.mjs')).sort().map((file) => join(directory, file));
}

let built;

/** Builds, once, all that the suites test from outside: the package, the package without encryption, the relay and its packages. */
function build() {
  built ??= runSteps([
    buildPackage(), buildPackage({ features: ['unsealed'], out: join(targetDirectory, 'pkg-unsealed'), isNative: false }),
    buildRelay, buildRelayPackages,
  ]);
  return built;
}
