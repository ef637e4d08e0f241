// Where the relay's program lies: in the package of this platform, an optional dependency.

import { createRequire } from 'node:module';
import { platform } from './platform.js';

const SCOPE = '@beaker-peersockets/relay-';
const require = createRequire(import.meta.url);

export function binaryPath() {
  const name = `${SCOPE}${platform()}`;
  const known = Object.keys(require('./package.json').optionalDependencies);
  if (!known.includes(name)) throw new Error(unknownPlatform(known.map((other) => other.slice(SCOPE.length))));
  try {
    return require.resolve(`${name}/peersockets-relay`);
  } catch (cause) {
    throw new Error(`${name} is not installed: install again on this machine, with optional dependencies (no --omit=optional)`, { cause });
  }
}

function unknownPlatform(known) {
  const remedy = process.platform === 'win32'
    ? 'run it in WSL'
    : 'build it with Rust (in a clone of beaker-peersockets: cargo install --locked --path relay), then run peersockets-relay';
  return `there is no package with a relay for ${platform()}, only for ${known.join(', ')}: ${remedy}`;
}
