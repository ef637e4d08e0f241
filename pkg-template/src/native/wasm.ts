import { readFile } from 'node:fs/promises';
import { attempt } from '../attempt.js';
import { PeerSocketsError } from '../errors.js';
import { loadWasm } from '../load.js';
import type { WasmSource } from '../load.js';
import { thrownText } from '../text.js';

/** Loads the WebAssembly, by default the one beside the bundle; from a URL too, be it a file's. */
export async function loadNativeWasm(source: WasmSource = new URL('./peersockets-host.wasm', import.meta.url)): Promise<void> {
  const url = attempt(() => new URL(source as URL | string));
  await loadWasm(url ? await read(url) : source, undefined);
}

async function read(url: URL): Promise<WasmSource> {
  try {
    return url.protocol === 'file:' ? await readFile(url) : await fetch(url);
  } catch (cause) {
    throw new PeerSocketsError({ code: 'wasm-load-failed', reason: `the WebAssembly could not be read: ${thrownText(cause)}`, url: url.href, cause });
  }
}
