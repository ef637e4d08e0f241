import type { Mux } from './hypercore.js';

/** The channel's protocol. */
export const PROTOCOL = 'peersockets/1';

/** What is waited for on each mux, by each of the drives that share it. */
const holders = new WeakMap<Mux, Set<Holder>>();

/** A drive on a mux. */
interface Holder {
  /** Resolves when its channel is known. */
  known: Promise<void> | undefined;
}

/**
 * Keeps channels that the remote opens until `known` resolves. A mux rejects at once what nobody has paired, and the id of a drive's
 * channel is told by Rust, which may still be loading; meanwhile any of them may be ours.
 *
 * @returns what ends it: channels that nobody knows are rejected again when no drive is left
 */
export function holdChannels(mux: Mux, known: Promise<void>): () => void {
  const holding = holders.get(mux) ?? new Set();
  if (holding.size === 0) mux.pair({ protocol: PROTOCOL }, () => Promise.all([...holding].map((holder) => holder.known)));
  holders.set(mux, holding);
  const holder: Holder = { known };
  holding.add(holder);
  void known.then(() => {
    holder.known = undefined;
  });
  return () => {
    if (holding.delete(holder) && holding.size === 0) mux.unpair({ protocol: PROTOCOL });
  };
}
