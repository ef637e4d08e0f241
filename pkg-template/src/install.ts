import { attempt } from './attempt.js';
import { Warnings } from './errors.js';
import { PeerSockets } from './peer-sockets.js';
import type { PeerSocketsOptions } from './peer-sockets.js';

/** What {@link install} takes. */
export interface InstallOptions extends PeerSocketsOptions {
  /** Replace a `beaker.peersockets` that is there already, and close it if it can be closed. Default: `false`, it stays. */
  force?: boolean;
}

/**
 * Makes a {@link PeerSockets} the page's `beaker.peersockets`, beside whatever else `beaker` has. It never throws; mistakes in the
 * options come as `error` events, and what can't be installed is a `console.warn`.
 *
 * @returns what is `beaker.peersockets` from now on: without `force` and where there was one, that one, be it Beaker's own
 */
export function install(options?: InstallOptions | null): PeerSockets {
  const beaker = presentBeaker();
  const present = attempt(() => beaker?.['peersockets']);
  if (present && !attempt(() => options?.force)) {
    if (isOurs(present) && isConfigured(options)) {
      warnings.warn({ code: 'already-installed', reason: 'install() was called again, so these options are ignored' });
    }
    return present as PeerSockets;
  }
  const sockets = new PeerSockets(options);
  const isInstalled =
    attempt(() => beaker && define(beaker, 'peersockets', sockets)) ||
    attempt(() => define(globalThis, 'beaker', { ...beaker, peersockets: sockets }));
  if (!isInstalled) {
    warnings.warn({ code: 'cannot-install', reason: 'the page has a beaker.peersockets that can not be replaced' });
  } else if (present) {
    closeIfPossible(present);
  }
  return sockets;
}

const warnings = new Warnings();

/** The page's own `beaker`. An element with that id is none: it only seems to be on `window`. */
function presentBeaker(): Record<string, unknown> | undefined {
  const beaker = attempt(() => (Object.hasOwn(globalThis, 'beaker') ? (globalThis as Record<string, unknown>)['beaker'] : undefined));
  return beaker !== null && typeof beaker === 'object' ? (beaker as Record<string, unknown>) : undefined;
}

function define(target: object, name: string, value: unknown): boolean {
  return Reflect.defineProperty(target, name, { value, configurable: true, enumerable: true, writable: true });
}

function isOurs(present: unknown): boolean {
  return attempt(() => present instanceof PeerSockets) ?? false;
}

/** Options that can't be read are a wish too. */
function isConfigured(options: InstallOptions | null | undefined): boolean {
  return attempt(() => [options?.drive, options?.relays, options?.wasm].some((option) => option !== undefined)) ?? true;
}

/** A stranger's `close` may throw: it is not ours to report. */
function closeIfPossible(sockets: unknown): void {
  attempt(() => (sockets as { close?(): void }).close?.());
}
