// npm test [-- [--long] SUITE...]: sets everything up, then runs every suite, or those named. With --long what is tried at random is tried
// ten times as often, and a million messages go where there are 200,000 else.

import { Failure, main } from './failure.mjs';
import { runSteps } from './progress.mjs';
import { runSuites } from './results.mjs';
import { setupToTest } from './setup.mjs';
import { allSuites } from './suites.mjs';

/** Seeds of each storm of netem/. */
const LONG_SEEDS = 2_500;
/** Messages through one page. */
const LONG_MESSAGES = 1_000_000;

await main(async () => {
  const parameters = process.argv.slice(2);
  if (parameters.includes('--long')) {
    process.env.TEST_SEEDS = String(LONG_SEEDS);
    process.env.TEST_MESSAGES = String(LONG_MESSAGES);
  }
  const suites = chooseSuites(parameters.filter((parameter) => parameter !== '--long'));
  await runSteps(setupToTest());
  await runSuites(suites);
});

function chooseSuites(names) {
  const suites = allSuites();
  const known = suites.map(({ name }) => name);
  const unknown = names.filter((name) => !known.includes(name));
  if (unknown.length > 0) throw new Failure(`there is no suite named ${unknown.join(', ')}`, `choose from ${known.join(', ')}`);
  return names.length > 0 ? suites.filter(({ name }) => names.includes(name)) : suites;
}
