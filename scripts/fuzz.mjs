// node scripts/fuzz.mjs [--seconds N] [TARGET...]: runs all fuzz targets, or those named.

import { parseArgs } from 'node:util';
import { main } from './failure.mjs';
import { fuzz, fuzzTargets } from './fuzzing.mjs';
import { runSuites } from './results.mjs';

await main(() => {
  const { values, positionals } = parseArgs({ allowPositionals: true, options: { seconds: { type: 'string', default: '30' } } });
  const targets = positionals.length > 0 ? positionals : fuzzTargets();
  return runSuites([{ name: 'fuzz', run: (shell) => fuzz(shell, values.seconds, targets) }]);
});
