/** The address of the WebAssembly, where a bundler is told to treat `.wasm` as a file: what the option `wasm` takes. */
declare const url: string;
export default url;
