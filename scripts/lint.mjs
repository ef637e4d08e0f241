// npm run lint: formatting, lints and documentation, without a warning.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { main } from './failure.mjs';
import { fuzzDirectory } from './fuzzing.mjs';
import { npmProgram } from './npm.mjs';
import { buildPackage } from './package.mjs';
import { root } from './paths.mjs';
import { runSteps } from './progress.mjs';
import { runSuites } from './results.mjs';
import { setupToLint } from './setup.mjs';
import { pathWithTools } from './tools.mjs';
import { wasmEnvironment } from './wasm-target.mjs';

const template = join(root, 'pkg-template');
const forWasm = ['--package', 'beaker-peersockets', '--target', 'wasm32-unknown-unknown'];
const denyWarnings = ['--', '--deny', 'warnings'];
const documentation = { RUSTDOCFLAGS: '--deny warnings' };

await main(async () => {
  // TypeScript's checks read the types of the built glue.
  await runSteps([...setupToLint(), buildPackage()]);
  await runSuites(lints());
});

/** Each lint as a suite with one result. */
function lints() {
  return [
    lint('rustfmt', 'cargo', ['fmt', '--all', '--check']),
    ...(existsSync(fuzzDirectory) ? [lint('rustfmt-fuzz', 'cargo', ['fmt', '--check'], { cwd: fuzzDirectory })] : []),
    lint('clippy', 'cargo', ['clippy', '--workspace', '--all-targets', ...denyWarnings]),
    lint('clippy-wasm', 'cargo', ['clippy', ...forWasm, '--all-targets', ...denyWarnings], { env: wasmEnvironment() }),
    lint('clippy-host', 'cargo', ['clippy', ...forWasm, '--features', 'host', ...denyWarnings], { env: wasmEnvironment() }),
    lint('clippy-unsealed', 'cargo', ['clippy', '--package', 'peersockets-core', '--features', 'unsealed', '--all-targets', ...denyWarnings]),
    ...(existsSync(fuzzDirectory) ? [lint('clippy-fuzz', 'cargo', ['clippy', '--locked', '--all-targets', ...denyWarnings], { cwd: fuzzDirectory })] : []),
    lint('rustdoc', 'cargo', ['doc', '--workspace', '--no-deps'], { env: documentation }),
    lint('rustdoc-wasm', 'cargo', ['doc', ...forWasm, '--no-deps'], { env: { ...documentation, ...wasmEnvironment() } }),
    lint('tsc', npmProgram('tsc'), ['--project', template, '--strict', '--noEmit']),
    lint('typedoc', npmProgram('typedoc'), ['--options', join(root, 'scripts/typedoc.json')]),
    // Not advisories: their database is a download beyond the package registries.
    lint('cargo-deny', 'cargo', ['deny', 'check', 'bans', 'licenses', 'sources'], { env: { PATH: pathWithTools() } }),
  ];
}

function lint(name, command, parameters, options) {
  return {
    name,
    run: async (shell) => {
      await shell.run(command, parameters, options);
      return [{ name, passed: true }];
    },
  };
}
