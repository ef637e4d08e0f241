// The native relay.

import { buildToShip } from './cargo.mjs';

/** The step that builds it. */
export const buildRelay = {
  name: 'build-relay',
  title: 'build the relay',
  run: (shell) => buildToShip(shell, ['--release', '--package', 'peersockets-relay']),
};
