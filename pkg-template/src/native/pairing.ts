import type { Mux } from './hypercore.js';

/** The channel's protocol. */
export const PROTOCOL = 'peersockets/1';

/** What is waited for on each mux, by each of the drives that share it. */
const holders = new WeakMap<Mux, Set<Holder>>();

/** The channels that we have on each mux, by their ids. */
const claims = new WeakMap<Mux, Set<string>>();

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

/**
 * Takes a drive's channel on a mux. Two of one drive would take each other's messages.
 *
 * @returns what gives it back, or `undefined` if somebody of this process has it
 */
export function claimChannel(mux: Mux, id: Uint8Array): (() => void) | undefined {
  const claimed = claims.get(mux) ?? new Set();
  claims.set(mux, claimed);
  const name = id.join();
  if (claimed.has(name)) return undefined;
  claimed.add(name);
  return () => void claimed.delete(name);
}
