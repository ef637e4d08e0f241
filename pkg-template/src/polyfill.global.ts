// The polyfill as a classic script: it installs before the next script of the page runs, and loads the WebAssembly after.

import { installMade } from './install.js';
import { PeerSockets } from './peer-sockets.js';

/** The hash of the WebAssembly, known when the package is built: a page that checks this script's own hash trusts nobody for the rest. */
declare const wasmIntegrity: string;

if ('document' in globalThis) {
  // Only while the script runs the page knows which one it is.
  const script = (document.currentScript as HTMLScriptElement | null)?.src;
  installMade((options) => new PeerSockets(options, () => new Request(wasmAddress(script), { integrity: wasmIntegrity })));
}

/** The WebAssembly's address, beside the script. */
function wasmAddress(script: string | undefined): URL {
  const place = new URL(script || document.baseURI);
  // A CDN serves this script also at the package's own address: https://cdn.example/npm/beaker-peersockets.
  if (script && !/(\.js|\/)$/.test(place.pathname)) place.pathname += '/';
  return new URL('dist/peersockets.wasm', place);
}
