import { loadWasm } from './load.js';
import type { LocateWasm, WasmSource } from './load.js';
import { readOptions } from './options.js';

/** What `ready()` takes. */
export interface ReadyOptions {
  /** Where the WebAssembly comes from, as in {@link PeerSocketsOptions}. */
  wasm?: WasmSource;
}

/**
 * `ready()` of an entry that finds the WebAssembly this way.
 *
 * @internal
 */
export async function loadAhead(options: ReadyOptions | null | undefined, locateWasm?: LocateWasm): Promise<void> {
  await loadWasm(readOptions(options).wasm, locateWasm);
}
