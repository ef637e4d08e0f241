import type { Engine } from './engine.js';

/** Tells Rust what happens to the page: it leaves, comes back, or its network does. Ends with the signal. */
export function followPage(engine: Engine, signal: AbortSignal): void {
  if (!('document' in globalThis)) return;
  const retry = () => engine.callIfOpen((rust) => rust.retry());
  window.addEventListener('pagehide', () => engine.callIfOpen((rust) => rust.goodbye()), { signal });
  window.addEventListener(
    'pageshow',
    // From the back-forward cache the page comes back as it was, but without its sockets.
    ({ persisted }) => (persisted ? engine.callIfOpen((rust) => rust.resume()) : retry()),
    { signal },
  );
  window.addEventListener('online', retry, { signal });
  document.addEventListener(
    'visibilitychange',
    () => {
      if (document.visibilityState === 'visible') retry();
    },
    { signal },
  );
}
