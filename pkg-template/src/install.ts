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
export function install(options: InstallOptions = {}): PeerSockets {
  const beaker = presentBeaker();
  const present = beaker?.['peersockets'];
  if (present && !options.force) {
    if (present instanceof PeerSockets && isConfigured(options)) {
      warnings.warn({ code: 'already-installed', reason: 'install() was called again, so these options are ignored' });
    }
    return present as PeerSockets;
  }
  const sockets = new PeerSockets(options);
  if (!(beaker && define(beaker, 'peersockets', sockets)) && !define(globalThis, 'beaker', { ...beaker, peersockets: sockets })) {
    warnings.warn({ code: 'cannot-install', reason: 'the page has a beaker.peersockets that can not be replaced' });
  } else if (present) {
    closeIfPossible(present);
  }
  return sockets;
}

const warnings = new Warnings();

/** The page's own `beaker`. An element with that id is none: it only seems to be on `window`. */
function presentBeaker(): Record<string, unknown> | undefined {
  const beaker: unknown = Object.hasOwn(globalThis, 'beaker') ? (globalThis as Record<string, unknown>)['beaker'] : undefined;
  return beaker !== null && typeof beaker === 'object' ? (beaker as Record<string, unknown>) : undefined;
}

function define(target: object, name: string, value: unknown): boolean {
  return Reflect.defineProperty(target, name, { value, configurable: true, enumerable: true, writable: true });
}

function isConfigured({ drive, relays, wasm }: InstallOptions): boolean {
  return drive !== undefined || relays !== undefined || wasm !== undefined;
}

function closeIfPossible(sockets: unknown): void {
  const { close } = sockets as { close?: unknown };
  if (typeof close === 'function') close.call(sockets);
}
