/**
 * Beaker's `beaker.peersockets` for today's browsers. Importing this module does nothing but define;
 * {@link install} or `new` {@link PeerSockets} starts it.
 *
 * @module
 */

export * from './slim.js';
export { PeerSockets, install, ready } from './located.js';
