import { readFile } from 'node:fs/promises';
import { attempt } from '../attempt.js';
import { PeerSocketsError } from '../errors.js';
import { loadWasm } from '../load.js';
import type { WasmSource } from '../load.js';
import { thrownText, toText } from '../text.js';

/** What is there already, by tag: it may have been made in another context. */
const THERE = /^\[object (ArrayBuffer|Response|WebAssembly\.Module)\]$/;

/** Loads the WebAssembly, by default the one beside the bundle; from a URL or a path too. */
export async function loadNativeWasm(source: WasmSource = new URL('./peersockets-host.wasm', import.meta.url)): Promise<void> {
  const tag = Object.prototype.toString.call(source);
  const isThere = THERE.test(tag) || ArrayBuffer.isView(source);
  await loadWasm(isThere ? source : await read(tag === '[object Request]' ? (source as Request) : (toText(source) ?? '')), undefined);
}

async function read(source: Request | string): Promise<WasmSource> {
  try {
    if (typeof source !== 'string') return await fetch(source);
    const url = attempt(() => new URL(source));
    // What is no URL is a path.
    return url && url.protocol !== 'file:' ? await fetch(url) : await readFile(url ?? source);
  } catch (cause) {
    const url = typeof source === 'string' ? source : source.url;
    throw new PeerSocketsError({ code: 'wasm-load-failed', reason: `the WebAssembly could not be read: ${thrownText(cause)}`, url, cause });
  }
}
