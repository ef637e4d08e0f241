/**
 * Where the WebAssembly lies. This is the only module that says so: bundlers see it, copy the file and write their own URL here.
 *
 * @internal
 */
export function wasmUrl(): URL {
  return new URL('./peersockets.wasm', import.meta.url);
}
