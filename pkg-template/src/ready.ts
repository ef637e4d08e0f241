import { loadWasm } from './load.js';
import type { WasmSource } from './load.js';

/** What {@link ready} takes. */
export interface ReadyOptions {
  /** Where the WebAssembly comes from; by default `peersockets.wasm` beside this package's modules. */
  wasm?: WasmSource;
}

/**
 * Loads the WebAssembly ahead of use; nothing is installed and nobody is connected. It is loaded once for all: when it is loading
 * already, `wasm` is ignored.
 *
 * @returns a promise that resolves when it is loaded, and rejects with a {@link PeerSocketsError} whose `code` is
 * `wasm-load-failed` or `wasm-blocked-by-csp`
 */
export function ready(options: ReadyOptions = {}): Promise<void> {
  return loadWasm(options.wasm);
}
