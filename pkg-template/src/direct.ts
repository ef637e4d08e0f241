import { attempt } from './attempt.js';
import { thrownText } from './text.js';
import type { IceServer, PeerSocketsOptions } from './peer-sockets.js';
import type { Page } from './page.js';
import type { Prepared } from './seam.js';

/** Peers that are connected to directly, where the page does not say how many; and the most that it can say. */
const PEERS = 32;
const MOST_PEERS = 256;

/**
 * How many peers are connected to directly, none where WebRTC is missing, and through which servers. Throws if an option is none.
 *
 * @internal
 */
export function chooseDirect({ direct = true, directPeers = PEERS, iceServers }: PeerSocketsOptions): Pick<Prepared, 'directPeers' | 'iceServers'> {
  if (typeof direct !== 'boolean') throw new TypeError('direct is neither true nor false');
  if (!Number.isInteger(directPeers) || directPeers < 0 || directPeers > MOST_PEERS) {
    throw new TypeError(`directPeers is no whole number from 0 to ${MOST_PEERS}`);
  }
  if (iceServers !== undefined && !Array.isArray(iceServers)) throw new TypeError('iceServers is no array');
  return {
    directPeers: direct && 'RTCPeerConnection' in globalThis ? directPeers : 0,
    ...(iceServers && { iceServers: iceServers.map(copyServer) }),
  };
}

/**
 * Whether the page's `<meta name="peersockets-direct">` lets peers connect directly: if there is none, or it says `true`. What else it says
 * was not meant to show anybody an address.
 *
 * @internal
 */
export function allowsDirect(page: Page): boolean {
  return page.meta('peersockets-direct').every((content) => content.trim().toLowerCase() === 'true');
}

/**
 * Throws what the browser has against the servers, in its words. Where it makes no connection at all, they are not why.
 *
 * @internal
 */
export function tryServers({ directPeers, iceServers = [] }: Pick<Prepared, 'directPeers' | 'iceServers'>): void {
  if (directPeers === 0 || iceServers.length === 0) return;
  const make = (servers: IceServer[]) => {
    new RTCPeerConnection({ iceServers: servers }).close();
    return true;
  };
  try {
    make(iceServers);
  } catch (cause) {
    if (attempt(() => make([]))) throw new TypeError(`the browser does not take iceServers: ${thrownText(cause)}`);
  }
}

/** A server as it is now. */
function copyServer(server: IceServer | null): IceServer {
  const { urls, username, credential } = server ?? ({} as IceServer);
  if (typeof urls !== 'string' && !Array.isArray(urls)) throw new TypeError('one of iceServers has no urls');
  return { urls: Array.isArray(urls) ? [...urls] : urls, username, credential };
}
