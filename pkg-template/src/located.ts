// What finds the WebAssembly by itself.

import { installMade } from './install.js';
import type { InstallOptions } from './install.js';
import { PeerSockets as SlimPeerSockets } from './peer-sockets.js';
import type { PeerSocketsOptions } from './peer-sockets.js';
import { loadAhead } from './ready.js';
import type { ReadyOptions } from './ready.js';
import { wasmUrl } from './wasm-url.js';

/**
 * Beaker's `beaker.peersockets`: messages between the devices that have the same drive open, end-to-end encrypted.
 *
 * It starts to load and to connect when it is made. `join()`, `watch()` and `send()` may be called at once.
 */
export class PeerSockets extends SlimPeerSockets {
  /**
   * Makes one, apart from any that is installed: to its peers it is a device of its own. It never throws.
   *
   * @param options - drive, relays and WebAssembly, where the defaults don't fit
   */
  constructor(options?: PeerSocketsOptions | null) {
    super(options, wasmUrl);
  }
}

/**
 * Makes a {@link PeerSockets} the page's `beaker.peersockets`, beside whatever else `beaker` has. It never throws; mistakes in the
 * options come as `error` events, and what can't be installed is a `console.warn`.
 *
 * It may be called any number of times, by components that are mounted again and by modules that are replaced while one develops:
 * the page has one `PeerSockets`. One that was closed or has failed is replaced.
 *
 * @param options - drive, relays and WebAssembly, where the defaults don't fit
 * @returns what is `beaker.peersockets` from now on: without `force` and where there was one, that one, be it Beaker's own
 */
export function install(options?: InstallOptions | null): PeerSockets {
  return installMade((given) => new PeerSockets(given), options);
}

/**
 * Loads the WebAssembly ahead of use; nothing is installed and nobody is connected. It is loaded once for all: when it is loading
 * already, `wasm` is ignored.
 *
 * @param options - where the WebAssembly is, where the default doesn't fit
 * @returns a promise that resolves when it is loaded, and rejects with a `PeerSocketsError` whose `code` is `wasm-load-failed`,
 * `wasm-blocked-by-csp`, `bad-options`, `unknown-option`, or `no-page` on a server
 */
export function ready(options?: ReadyOptions | null): Promise<void> {
  return loadAhead(options, wasmUrl);
}
