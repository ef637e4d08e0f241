import type { Engine } from './engine.js';
import type { PeerSockets as Glue } from './wasm/glue.js';

/** Tells Rust what happens to the page or worker: it leaves, comes back, or its network does. Ends with the signal. */
export function followPage(engine: Engine, signal: AbortSignal): void {
  const follow = (target: EventTarget, type: string, tell: (rust: Glue, event: Event) => void) => {
    target.addEventListener(type, (event) => engine.callIfOpen((rust) => tell(rust, event)), { signal });
  };
  // Node has neither a network that comes and goes nor a page.
  if (!('addEventListener' in globalThis)) return;
  follow(globalThis, 'offline', (rust) => rust.offline());
  follow(globalThis, 'online', (rust) => rust.online());
  if (!('document' in globalThis)) return;
  follow(globalThis, 'pagehide', (rust) => rust.goodbye());
  // From the back-forward cache the page comes back as it was, but without its sockets.
  follow(globalThis, 'pageshow', (rust, event) => ((event as PageTransitionEvent).persisted ? rust.resume() : rust.retry()));
  follow(document, 'visibilitychange', (rust) => {
    if (document.visibilityState === 'visible') rust.retry();
  });
}
