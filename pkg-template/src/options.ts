import { attempt } from './attempt.js';
import { allowsDirect, chooseDirect, tryServers } from './direct.js';
import { chooseDrive } from './drive.js';
import { PeerSocketsError } from './errors.js';
import { loadWasm } from './load.js';
import type { LocateWasm } from './load.js';
import { misnamedOptions } from './option-names.js';
import { currentPage, isSecurePage, pageIsParsed } from './page.js';
import type { Page } from './page.js';
import type { PeerSocketsOptions } from './peer-sockets.js';
import { choosePeers, chooseRelays } from './relays.js';
import type { Prepared } from './seam.js';
import { thrownText } from './text.js';

/**
 * Loads the WebAssembly, and waits until the page is there as far as the options leave something to it; they are read at once.
 * Rejects with a {@link PeerSocketsError}.
 *
 * @internal
 */
export async function prepare(
  options: PeerSocketsOptions | null | undefined,
  locateWasm: LocateWasm | undefined,
): Promise<Prepared> {
  const given = readOptions(options);
  await loadWasm(given.wasm, locateWasm);
  const { drive, relays, peers, direct } = given;
  if ([drive, relays, peers, direct].includes(undefined)) await pageIsParsed();
  return fillIn(given, currentPage());
}

/**
 * The options as they are now: each is read once, since a page may pass anything. Throws a {@link PeerSocketsError} where that
 * can't be done, and where one has a wrong name or a drive was meant and is none: whoever names a drive must not meet everybody of
 * the page's origin.
 *
 * @internal
 */
export function readOptions(options: PeerSocketsOptions | null | undefined): PeerSocketsOptions {
  return orRefuse(() => {
    requireObject(options);
    const [misnamed] = misnamedOptions(options);
    if (misnamed) throw new PeerSocketsError(misnamed);
    const { drive, relays, peers, direct, directPeers, iceServers, sessionTime, wasm } = options ?? {};
    if (drive === undefined && options && 'drive' in options) throw new PeerSocketsError({ code: 'bad-drive', reason: 'the drive was given as undefined' });
    return { drive, relays: copyList(relays), peers: copyList(peers), ...(direct === undefined ? {} : { direct }), ...chooseDirect({ direct, directPeers, iceServers }), ...chooseSessionTime(sessionTime), wasm };
  });
}

/**
 * What Rust needs, from the options and the page.
 *
 * @internal
 */
export function fillIn(options: PeerSocketsOptions, page: Page): Prepared {
  return orRefuse(() => {
    const drive = chooseDrive(options.drive, page);
    const peers = choosePeers(options.peers, page);
    const direct = chooseDirect({ ...options, direct: options.direct ?? allowsDirect(page) });
    tryServers(direct);
    return {
      ...(drive === undefined ? {} : { drive }),
      origin: page.hasDocument ? page.origin : 'null',
      relays: chooseRelays(options.relays, page, peers.length > 0),
      peers,
      isSecure: isSecurePage(page),
      ...direct,
      ...chooseSessionTime(options.sessionTime),
    };
  });
}

/**
 * The time that was given, if one was. Throws if it is none.
 *
 * @internal
 */
export function chooseSessionTime(sessionTime: number | undefined): { sessionTime?: number } {
  if (sessionTime === undefined) return {};
  if (typeof sessionTime !== 'number' || !(sessionTime >= 0 && sessionTime < Infinity)) throw new TypeError('sessionTime is no number of milliseconds');
  return { sessionTime };
}

/**
 * Throws if options are there and are no object.
 *
 * @internal
 */
export function requireObject(options: unknown): void {
  if (options && (typeof options !== 'object' || Array.isArray(options))) throw new TypeError('they are no object');
}

/**
 * A list as it is now.
 *
 * @internal
 */
export function copyList<List>(list: List): List {
  return Array.isArray(list) ? ([...list] as List) : list;
}

/**
 * What an action gives. What it throws becomes a {@link PeerSocketsError}, `bad-options`, if it is none.
 *
 * @internal
 */
export function orRefuse<Value>(read: () => Value): Value {
  try {
    return read();
  } catch (cause) {
    // What was thrown may itself throw when it is looked at.
    if (attempt(() => cause instanceof PeerSocketsError)) throw cause;
    throw new PeerSocketsError({ code: 'bad-options', reason: `the options cannot be used: ${thrownText(cause)}`, cause });
  }
}
