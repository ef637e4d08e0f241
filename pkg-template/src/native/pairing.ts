import type { Mux } from './hypercore.js';

/** The channel's protocol. */
export const PROTOCOL = 'peersockets/1';

/** What is waited for on each mux, by all drives that share it. */
const waits = new WeakMap<Mux, Set<Promise<void>>>();

/**
 * Keeps channels that the remote opens until `known` resolves. A mux rejects at once what nobody has paired, and the id of a drive's
 * channel is told by Rust, which may still be loading; meanwhile any of them may be ours.
 */
export function holdChannels(mux: Mux, known: Promise<void>): void {
  let waited = waits.get(mux);
  if (!waited) {
    const fresh = new Set<Promise<void>>();
    waits.set(mux, fresh);
    mux.pair({ protocol: PROTOCOL }, () => Promise.all(fresh));
    waited = fresh;
  }
  const waiting = waited.add(known);
  void known.then(() => waiting.delete(known));
}
