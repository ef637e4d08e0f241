import type { Hyperdrive, SecretStream } from './hypercore.js';

/** Which stores are replicated on a stream because of us. */
const stores = new WeakMap<SecretStream, WeakSet<object>>();

/**
 * Replicates a drive on a stream, once for its store: that does it for all drives of the store, those that are opened later too, and each
 * time would leave a listener on the stream.
 */
export function replicateOnce(drive: Hyperdrive, stream: object, secret: SecretStream): void {
  const store = drive.corestore?.root ?? drive.corestore ?? drive;
  const replicated = stores.get(secret) ?? new WeakSet();
  stores.set(secret, replicated);
  if (replicated.has(store)) return;
  drive.replicate(stream);
  replicated.add(store);
}
