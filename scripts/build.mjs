// npm run build: makes pkg/, target/release/peersockets-relay, and pkg-relay/.
// With --out only a package, for tests: node scripts/build.mjs --features unsealed --out target/pkg-unsealed

import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { main } from './failure.mjs';
import { buildPackage } from './package.mjs';
import { root } from './paths.mjs';
import { runSteps } from './progress.mjs';
import { buildRelay } from './relay.mjs';
import { buildRelayPackages } from './relay-package.mjs';
import { setupToBuild } from './setup.mjs';

await main(() => {
  const { values } = parseArgs({ options: { features: { type: 'string' }, out: { type: 'string' } } });
  const features = values.features?.split(',');
  const products = values.out
    // After the package itself: TypeScript checks all of them against its glue for native peers.
    ? [buildPackage(), buildPackage({ features, out: resolve(root, values.out), isNative: false })]
    : [buildPackage({ features }), buildRelay, buildRelayPackages];
  return runSteps([...setupToBuild(), ...products]);
});
