/**
 * Where a {@link PeerSockets} stands.
 *
 * - `loading`: the WebAssembly or the page's head is not there yet; on a server that renders the page they never are
 * - `connecting`: no relay and no drive peer has been reached so far
 * - `ready`: in the drive's room on at least one relay, or connected to a peer without one
 * - `offline`: every relay is out of reach and nobody is connected without one, or the browser says that it is offline and no relay has answered since; each is
 *   tried again, at once when the browser comes back online. Peers stay until they have been silent for 5 s
 * - `closed`: by `close()`, for good
 * - `failed`: the options cannot be used, one of them does not exist or the drive is none, or the WebAssembly could not be loaded or crashed; an `error` event says why
 */
export type State = 'loading' | 'connecting' | 'ready' | 'offline' | 'closed' | 'failed';

/** A snapshot of a {@link PeerSockets}. While it loads, and after it failed, the keys are `''` and the lists empty. */
export interface Stats {
  /** As {@link PeerSockets.state}. */
  state: State;
  /** The drive's discovery key, 64 hex digits. Public, unlike the drive key. */
  driveDiscoveryKey: string;
  /** This device's public key, 64 hex digits, shown to peers only: new for each page session, or that of a process's `keyPair`. */
  deviceKey: string;
  /** The relays in use, at most 3. */
  relays: RelayStats[];
  /** The drive peers of the list, at most 8. */
  drivePeers: DrivePeerStats[];
  /** The peers that are here now. */
  peers: PeerStats[];
}

/** One relay of {@link Stats}. */
export interface RelayStats {
  /** Its absolute `ws:` or `wss:` URL. */
  url: string;
  /**
   * Where this device stands with it.
   *
   * - `connecting`: it is being reached
   * - `joined`: in the drive's room there
   * - `waiting`: it could not be reached and is tried again later
   * - `resting`: it is not tried any more: its URL can never be used, or the page said goodbye
   */
  state: 'connecting' | 'joined' | 'waiting' | 'resting';
  /** How many other devices it links this one to, proved or not. */
  members: number;
}

/** One drive peer of {@link Stats}. */
export interface DrivePeerStats {
  /** Its absolute `ws:` or `wss:` URL. */
  url: string;
  /**
   * Where this device stands with it.
   *
   * - `connecting`: it is being reached
   * - `joined`: it is a peer
   * - `waiting`: it could not be reached, or does not have the drive, and is tried again later
   * - `resting`: it is not tried any more: its URL can never be used, or the page said goodbye
   */
  state: 'connecting' | 'joined' | 'waiting' | 'resting';
}

/** How messages to a peer travel: through a relay, or straight to it; `none` while they wait for a connection that broke. */
export type Path = 'relay' | 'direct' | 'none';

/** One peer of {@link Stats}. */
export interface PeerStats {
  /** Its id, as in `join` and `message`. */
  peerId: number;
  /** Its device's public key, 64 hex digits. */
  publicKey: string;
  /** How messages to it travel; changes are `path` events of {@link PeerSockets.watch}. */
  path: Path;
  /**
   * Milliseconds from a question to its answer, measured last on the connection that messages to it travel on: every 2.5 to 20 s.
   * `undefined` until the first answer came, while there is no connection, and for peers that answer none: drive peers without this
   * package.
   */
  roundTripTime: number | undefined;
  /** The URL of the relay they travel through, or of the drive peer; `undefined` where messages go directly to a page, on a stream of one's own, and where there is none. */
  url: string | undefined;
  /** Messages received from it. */
  messagesIn: number;
  /** Messages sent to it. */
  messagesOut: number;
  /** Bytes of the messages received. */
  bytesIn: number;
  /** Bytes of the messages sent. */
  bytesOut: number;
  /** Bytes of messages that wait to be sent to it, or that it has not acknowledged. */
  queuedBytes: number;
}
