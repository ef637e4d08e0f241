import { loadWasm } from './load.js';
import type { WasmSource } from './load.js';
import { readOptions } from './options.js';

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
 * `wasm-load-failed`, `wasm-blocked-by-csp` or `bad-options`
 */
export async function ready(options?: ReadyOptions | null): Promise<void> {
  await loadWasm(readOptions(options).wasm);
}
