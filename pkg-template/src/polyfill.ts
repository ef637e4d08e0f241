/**
 * Importing this module gives the page `beaker.peersockets`, with the default drive and relays.
 *
 * @module
 */

import { install } from './index.js';

export type { PeerSockets } from './index.js';

declare global {
  /** Beaker's APIs, as far as they are there. */
  var beaker: Beaker;
}

// A page that is rendered on a server imports this there too.
if ('document' in globalThis) install();
