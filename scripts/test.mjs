// npm test [-- SUITE...]: sets everything up, then runs every suite, or those named.

import { Failure, main } from './failure.mjs';
import { runSteps } from './progress.mjs';
import { runSuites } from './results.mjs';
import { setupToTest } from './setup.mjs';
import { allSuites } from './suites.mjs';

await main(async () => {
  const suites = chooseSuites(process.argv.slice(2));
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
