// npm run bench -- relay|page|direct|crypto|instructions: builds what is measured, measures it, and writes bench/RESULTS.md, or
// bench/instructions.json, which a test compares with. Never part of the tests.

import { benchCrypto, buildCrypto } from '../bench/crypto.mjs';
import { benchDirect } from '../bench/direct.mjs';
import { benchPage } from '../bench/page.mjs';
import { benchRelay } from '../bench/relay.mjs';
import { buildToShip } from './cargo.mjs';
import { Failure, main } from './failure.mjs';
import { keepInstructions } from './instructions.mjs';
import { buildPackage } from './package.mjs';
import { runSteps } from './progress.mjs';
import { buildRelay } from './relay.mjs';
import { setupToBench } from './setup.mjs';

const buildLoad = {
  name: 'build-load',
  title: 'build the load generator',
  run: (shell) => buildToShip(shell, ['--release', '--package', 'peersockets-bench']),
};

const countInstructions = { name: 'count-instructions', title: 'count the instructions of the data path', run: keepInstructions };

const BENCHMARKS = {
  crypto: { steps: () => [buildCrypto], run: benchCrypto },
  direct: { steps: () => [buildPackage(), buildRelay], run: benchDirect },
  instructions: { steps: () => [countInstructions], run: () => {} },
  page: { steps: () => [buildPackage(), buildRelay], run: benchPage },
  relay: { steps: () => [buildRelay, buildLoad], run: benchRelay },
};

await main(async () => {
  const names = process.argv.slice(2);
  const unknown = names.find((name) => !(name in BENCHMARKS));
  if (unknown !== undefined || names.length === 0) {
    throw new Failure(unknown ? `there is no benchmark ${unknown}` : 'no benchmark named', `npm run bench -- ${Object.keys(BENCHMARKS).join('|')}`);
  }
  for (const name of names) {
    await runSteps([...setupToBench(), ...BENCHMARKS[name].steps()]);
    await BENCHMARKS[name].run();
  }
});
