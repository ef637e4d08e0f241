import { attempt } from './attempt.js';
import { PeerSocketsError } from './errors.js';
import { thrownText } from './text.js';
import { wasmUrl } from './wasm-url.js';
import initialise from './wasm/glue.js';

/** Where the WebAssembly comes from: its URL (absolute, or relative to the page), a response, its bytes, or the compiled module. */
export type WasmSource = URL | string | Response | BufferSource | WebAssembly.Module;

let loading: Promise<void> | undefined;

/**
 * Loads the WebAssembly, once: later calls get the first one's outcome, whatever they name. After a failure the next call tries again.
 * Rejects with a {@link PeerSocketsError}: `wasm-load-failed` or `wasm-blocked-by-csp`.
 *
 * @internal
 */
export function loadWasm(source?: WasmSource): Promise<void> {
  loading ??= load(source).catch((error: unknown) => {
    loading = undefined;
    throw classify(error, source);
  });
  return loading;
}

async function load(source: WasmSource = wasmUrl()): Promise<void> {
  await initialise({ module_or_path: await compile(source) });
}

async function compile(source: WasmSource): Promise<WebAssembly.Module> {
  // By tag, not by class: what a page passes may have been made in another frame.
  const tag = Object.prototype.toString.call(source);
  if (tag === '[object WebAssembly.Module]') return source as WebAssembly.Module;
  if (tag === '[object Response]') return compileResponse(source as Response);
  if (tag === '[object ArrayBuffer]' || ArrayBuffer.isView(source)) return WebAssembly.compile(source as BufferSource);
  return compileResponse(await fetch(source as URL | string));
}

/** Compiles while it downloads, where the server names the type, without which browsers refuse to. */
async function compileResponse(response: Response): Promise<WebAssembly.Module> {
  if (!response.ok) throw new Error(`the server answered ${response.status} ${response.statusText}`.trim());
  const type = response.headers.get('content-type')?.trim().toLowerCase();
  if (type === 'application/wasm') return WebAssembly.compileStreaming(response);
  return WebAssembly.compile(await response.arrayBuffer());
}

function classify(cause: unknown, source: WasmSource | undefined): PeerSocketsError {
  const url = attempt(() => urlOf(source ?? wasmUrl()));
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

function urlOf(source: WasmSource): string | undefined {
  const tag = Object.prototype.toString.call(source);
  if (tag === '[object Response]') return (source as Response).url || undefined;
  if (tag !== '[object String]' && tag !== '[object URL]') return undefined;
  const text = String(source);
  return attempt(() => new URL(text, (globalThis.document as Document | undefined)?.baseURI).href) ?? text;
}
