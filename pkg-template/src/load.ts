import { attempt } from './attempt.js';
import { PeerSocketsError } from './errors.js';
import { isServer } from './page.js';
import { thrownText } from './text.js';
import initialise from './wasm/glue.js';

/**
 * Where the WebAssembly comes from: its URL (absolute, or relative to the page; in a process a file's path too), a request for it, a
 * response, its bytes, or the compiled module.
 */
export type WasmSource = URL | string | Request | Response | ArrayBuffer | ArrayBufferView<ArrayBuffer>
  // `WebAssembly.Module`, for which programs for Node have no name where they are compiled without the DOM's types.
  | (typeof globalThis extends Record<'WebAssembly', Record<'Module', Record<'prototype', infer Module>>> ? Module : never);

/**
 * How an entry of the package finds the WebAssembly where the page does not say where it is.
 *
 * @internal
 */
export type LocateWasm = () => WasmSource;

let loading: Promise<void> | undefined;

/**
 * Loads the WebAssembly, once: later calls get the first one's outcome, whatever they name. After a failure the next call tries again.
 * Rejects with a {@link PeerSocketsError}: `wasm-load-failed`, `wasm-blocked-by-csp`, `no-wasm` or `no-page`.
 *
 * @internal
 */
export function loadWasm(source: WasmSource | undefined, locate: LocateWasm | undefined): Promise<void> {
  loading ??= load(source, locate).catch((error: unknown) => {
    loading = undefined;
    throw error instanceof PeerSocketsError ? error : classify(error, () => source ?? locate?.());
  });
  return loading;
}

async function load(source: WasmSource | undefined, locate: LocateWasm | undefined): Promise<void> {
  const found = source ?? locate?.();
  if (found === undefined) throw new PeerSocketsError({ code: 'no-wasm', reason: 'nothing says where the WebAssembly is' });
  await initialise({ module_or_path: await compile(found) });
}

async function compile(source: WasmSource): Promise<WebAssembly.Module> {
  // By tag, not by class: what a page passes may have been made in another frame.
  const tag = Object.prototype.toString.call(source);
  if (tag === '[object WebAssembly.Module]') return source as WebAssembly.Module;
  if (tag === '[object Response]') return compileResponse(source as Response);
  if (tag === '[object ArrayBuffer]' || ArrayBuffer.isView(source)) return WebAssembly.compile(source as BufferSource);
  if (isServer()) throw new PeerSocketsError({ code: 'no-page', reason: 'this is no web page, so nothing is fetched' });
  return compileResponse(await fetch(source as URL | string | Request));
}

/** Compiles while it downloads, where the server names the type, without which browsers refuse to. */
async function compileResponse(response: Response): Promise<WebAssembly.Module> {
  if (!response.ok) throw new Error(`the server answered ${response.status} ${response.statusText}`.trim());
  const type = response.headers.get('content-type')?.trim().toLowerCase();
  if (type?.startsWith('text/html')) throw new Error('the server sent a page instead of it');
  if (type === 'application/wasm') return WebAssembly.compileStreaming(response);
  return WebAssembly.compile(await response.arrayBuffer());
}

function classify(cause: unknown, locate: () => WasmSource | undefined): PeerSocketsError {
  const url = attempt(() => urlOf(locate()));
  if (typeof WebAssembly === 'undefined') {
    return new PeerSocketsError({ code: 'wasm-load-failed', reason: 'this browser has WebAssembly switched off', url, cause });
  }
  if (!mayCompile()) {
    return new PeerSocketsError({ code: 'wasm-blocked-by-csp', reason: "the page's Content-Security-Policy forbids WebAssembly", url, cause });
  }
  return new PeerSocketsError({ code: 'wasm-load-failed', reason: `the WebAssembly could not be loaded: ${thrownText(cause)}`, url, cause });
}

/** Browsers word a policy's refusal differently, but all refuse even the empty module. */
function mayCompile(): boolean {
  try {
    new WebAssembly.Module(Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0));
    return true;
  } catch {
    return false;
  }
}

function urlOf(source: WasmSource | undefined): string | undefined {
  const tag = Object.prototype.toString.call(source);
  if (tag === '[object Request]' || tag === '[object Response]') return (source as Request | Response).url || undefined;
  if (tag !== '[object String]' && tag !== '[object URL]') return undefined;
  const text = String(source);
  return attempt(() => new URL(text, (globalThis.document as Document | undefined)?.baseURI).href) ?? text;
}
