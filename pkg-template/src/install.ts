import { attempt } from './attempt.js';
import { Warnings } from './errors.js';
import { PeerSockets } from './peer-sockets.js';
import type { PeerSocketsOptions } from './peer-sockets.js';

declare global {
  /** Beaker's APIs, as far as they are there. Whoever brings another one adds it to this interface. */
  interface Beaker {
    /** Messages between the devices that have this drive open. */
    peersockets: PeerSockets;
  }

  interface Window {
    /** Beaker's APIs, once `install()` was called. */
    beaker: Beaker;
  }
}

/** What `install()` takes. */
export interface InstallOptions extends PeerSocketsOptions {
  /** Replace a `beaker.peersockets` that is there already, and close it if it can be closed. Default: `false`, it stays. */
  force?: boolean;
}

/**
 * `install()` of an entry that makes a `PeerSockets` this way.
 *
 * @internal
 */
export function installMade(make: (options: InstallOptions | null | undefined) => PeerSockets, options?: InstallOptions | null): PeerSockets {
  const beaker = presentBeaker();
  const present = attempt(() => beaker?.['peersockets']);
  if (present && !isOver(present) && !attempt(() => options?.force)) {
    if (isOurs(present) && isNews(options)) {
      warnings.warn({ code: 'already-installed', reason: 'install() was called again, with other options, which are ignored' });
    }
    return present as PeerSockets;
  }
  const sockets = make(options);
  const isInstalled =
    isPlaced(sockets, () => beaker && define(beaker, 'peersockets', sockets)) ||
    isPlaced(sockets, () => define(globalThis, 'beaker', likeness(beaker, sockets)));
  if (!isInstalled) {
    warnings.warn({ code: 'cannot-install', reason: 'the page has a beaker.peersockets that can not be replaced' });
  } else {
    installedWith = wishOf(options);
    if (present) closeIfPossible(present);
  }
  return sockets;
}

const warnings = new Warnings();

/** What `beaker.peersockets` was asked to be. */
let installedWith: Wish | undefined;

type Wish = readonly unknown[];

/** The page's own `beaker`. An element with that id is none: it only seems to be on `window`. */
function presentBeaker(): Record<string, unknown> | undefined {
  const beaker = attempt(() => (Object.hasOwn(globalThis, 'beaker') ? (globalThis as Record<string, unknown>)['beaker'] : undefined));
  return beaker !== null && /^(object|function)$/.test(typeof beaker) ? (beaker as Record<string, unknown>) : undefined;
}

/** Whether `beaker.peersockets` is what was placed there: a getter may make an object anew for each who asks. */
function isPlaced(sockets: PeerSockets, place: () => boolean | undefined): boolean {
  return attempt(() => place() && presentBeaker()?.['peersockets'] === sockets) ?? false;
}

/** What stands in for a `beaker` that takes nothing: all that it has, getters unread, and this. */
function likeness(beaker: object = {}, sockets: PeerSockets): object {
  const members: PropertyDescriptorMap = Object.getOwnPropertyDescriptors(beaker);
  return Object.create(Object.getPrototypeOf(beaker) as object, { ...members, peersockets: propertyOf(sockets) }) as object;
}

function define(target: object, name: string, value: unknown): boolean {
  return Reflect.defineProperty(target, name, propertyOf(value));
}

function propertyOf(value: unknown): PropertyDescriptor {
  return { value, configurable: true, enumerable: true, writable: true };
}

function isOurs(present: unknown): present is PeerSockets {
  return attempt(() => present instanceof PeerSockets) ?? false;
}

/** Whether it is one of ours that will never do anything again. */
function isOver(present: unknown): boolean {
  return isOurs(present) && /^(closed|failed)$/.test(present.state);
}

/** Whether something is asked for that `beaker.peersockets` is not. Components and reloaded modules ask again for what they asked for. */
function isNews(options: InstallOptions | null | undefined): boolean {
  // Options that can't be read are a wish too.
  const wish = wishOf(options);
  return !wish || wish.some((part, index) => part !== undefined && part !== installedWith?.[index]);
}

/** The options as something to compare. */
function wishOf(options: InstallOptions | null | undefined): Wish | undefined {
  return attempt(() => {
    const { drive, relays, peers, direct, directPeers, iceServers, sessionTime, wasm } = options ?? {};
    const parts = [drive, relays, peers, direct, directPeers, iceServers && JSON.stringify(iceServers), sessionTime, wasm];
    return parts.map((part) => (part === undefined || ArrayBuffer.isView(part) ? part : String(part)));
  });
}

/** A stranger's `close` may throw: it is not ours to report. */
function closeIfPossible(sockets: unknown): void {
  attempt(() => (sockets as { close?(): void }).close?.());
}
