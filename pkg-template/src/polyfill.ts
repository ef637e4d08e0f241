/**
 * Importing this module gives the page `beaker.peersockets`, with the default drive and relays.
 *
 * @module
 */

import { install } from './install.js';
import type { PeerSockets } from './peer-sockets.js';

declare global {
  /** Beaker's APIs, as far as they are there. */
  var beaker: {
    /** Messages between the devices that have this drive open. */
    peersockets: PeerSockets;
  };
}

// A page that is rendered on a server imports this there too.
if ('document' in globalThis) install();
