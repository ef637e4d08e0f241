import { chooseDrive } from './drive.js';
import { PeerSocketsError } from './errors.js';
import { isSecurePage } from './page.js';
import type { Page } from './page.js';
import type { PeerSocketsOptions } from './peer-sockets.js';
import { choosePeers, chooseRelays } from './relays.js';
import type { GlueOptions } from './seam.js';
import { thrownText } from './text.js';

/**
 * The options as they are now: each is read once, since a page may pass anything. Throws a {@link PeerSocketsError} where that
 * can't be done.
 *
 * @internal
 */
export function readOptions(options: PeerSocketsOptions | null | undefined): PeerSocketsOptions {
  return orRefuse(() => {
    if (options && (typeof options !== 'object' || Array.isArray(options))) throw new TypeError('they are no object');
    const { drive, relays, peers, wasm } = options ?? {};
    return { drive, relays: copy(relays), peers: copy(peers), wasm };
  });
}

/**
 * What Rust needs, from the options and the page.
 *
 * @internal
 */
export function fillIn(options: PeerSocketsOptions, page: Page): GlueOptions {
  return orRefuse(() => {
    const drive = chooseDrive(options.drive, page);
    const peers = choosePeers(options.peers, page);
    return {
      ...(drive === undefined ? {} : { drive }),
      origin: page.hasDocument ? page.origin : 'null',
      relays: chooseRelays(options.relays, page, peers.length > 0),
      peers,
      isSecure: isSecurePage(page),
    };
  });
}

function copy<List>(list: List): List {
  return Array.isArray(list) ? ([...list] as List) : list;
}

function orRefuse<Value>(read: () => Value): Value {
  try {
    return read();
  } catch (cause) {
    throw new PeerSocketsError({ code: 'bad-options', reason: `the options could not be read: ${thrownText(cause)}`, cause });
  }
}
