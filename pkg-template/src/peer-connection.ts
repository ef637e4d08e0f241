import { attempt } from './attempt.js';
import type { Lifeline } from './lifeline.js';
import type { IceServer } from './peer-sockets.js';

/** `bufferedAmount` down to which bytes have to go for `drained`: 64 KiB. Where far more waits Chromium's throughput collapses. */
const LOW_WATER = 65_536;
/** Milliseconds that what was sent last has for leaving. */
const FAREWELL = 1_000;
/** What is told of `connectionState`, each by its place. */
const CONNECTIVITY = ['connected', 'disconnected', 'failed'];

/** The first argument of {@link Tell}, and what follows. */
export const Told = {
  /** The local description was made: its SDP. */
  description: 0,
  /** A local candidate was found: its `candidate` and `sdpMid`. That there are no more is not told. */
  candidate: 1,
  /** There is a way to the remote (0), it may be lost (1), or there is none (2). Whether that is the end is for others to say. */
  connectivity: 2,
  /** The channel is open. */
  opened: 3,
  /** A message: an `ArrayBuffer`, or a string. */
  message: 4,
  /** No more than 64 KiB are left of the bytes that were sent, and more were. */
  drained: 5,
  /** The channel is closed; the last that is told. */
  closed: 6,
  /** It can't be had, or a step can't be taken; the last that is told. */
  failed: 7,
} as const;

/** What is told; never inside a call of a {@link PeerConnection}. */
export type Tell = (what: number, payload?: unknown, mid?: string | null) => void;

/**
 * A direct connection to a device: an `RTCPeerConnection` and one data channel. It takes the steps that it is told to, one after
 * another; who offers, and when, is decided elsewhere. `Lifeline` makes it, and holds it until it is closed.
 */
export class PeerConnection {
  readonly #lifeline: Lifeline;
  #tell: Tell | undefined;
  #connection: RTCPeerConnection | undefined;
  #channel: RTCDataChannel | undefined;
  #farewell: ReturnType<typeof setTimeout> | undefined;
  #steps = Promise.resolve();

  constructor(lifeline: Lifeline, iceServers: IceServer[], tell: Tell) {
    this.#lifeline = lifeline;
    this.#tell = tell;
    // The browser may refuse: it has none of them in workers, and 500 in a page at most.
    this.#take(() => this.#open(connect(iceServers)));
  }

  /** Makes an offer the local description; with `restart` one that looks for other ways. */
  offer(restart: boolean): void {
    this.#take((connection) => {
      if (restart) connection.restartIce();
      return this.#describe(connection);
    });
  }

  /** Takes the remote's offer, in place of one of ours, and makes an answer the local description. */
  answer(sdp: string): void {
    this.#take(async (connection) => {
      const taking = isUnanswered(connection) ? this.#replace(connection) : connection;
      await taking.setRemoteDescription({ type: 'offer', sdp });
      await this.#describe(taking);
    });
  }

  /** Takes the remote's answer. */
  accept(sdp: string): void {
    this.#take((connection) => connection.setRemoteDescription({ type: 'answer', sdp }));
  }

  /** Adds a candidate of the remote's. One of an offer that was not taken does no harm. */
  candidate(candidate: string, sdpMid: string | undefined): void {
    // There is one section: a candidate that does not say which is of that.
    const section = sdpMid === undefined ? { sdpMLineIndex: 0 } : { sdpMid };
    this.#take((connection) => connection.addIceCandidate({ candidate, ...section }).catch(() => {}));
  }

  /** Sends a message. A channel that is not open drops it, and one that can't take it is closed: what came behind would be of no use. */
  send(message: Uint8Array<ArrayBuffer>): void {
    const channel = this.#channel;
    try {
      channel?.send(message);
    } catch {
      channel?.close();
    }
  }

  /** Bytes that were sent and have not left. */
  get bufferedAmount(): number {
    return this.#channel?.bufferedAmount ?? 0;
  }

  /** Closes it, after what was sent as far as that leaves within a second. Nothing is told any more. */
  close(): void {
    const channel = this.#channel;
    this.#tell = undefined;
    if (channel?.readyState !== 'open') return this.cut();
    this.#farewell = this.#lifeline.setTimeout(() => this.cut(), FAREWELL);
    channel.onclose = () => this.cut();
    channel.close();
  }

  /** Closes it at once. */
  cut(): void {
    this.#tell = undefined;
    // It would hold the connection as long as it runs.
    if (this.#farewell) this.#lifeline.clearTimeout(this.#farewell);
    this.#lifeline.release(this);
    this.#connection?.close();
  }

  #take(step: (connection: RTCPeerConnection) => unknown): void {
    this.#steps = this.#steps
      .then(() => this.#tell && step(this.#connection as RTCPeerConnection))
      .then(() => {}, () => this.#end(Told.failed));
  }

  #replace(connection: RTCPeerConnection): RTCPeerConnection {
    // What the one that is left behind may still say is not about the next.
    connection.onicecandidate = connection.onconnectionstatechange = null;
    if (this.#channel) this.#channel.onopen = this.#channel.onclose = null;
    connection.close();
    return this.#open(new RTCPeerConnection(connection.getConfiguration()));
  }

  #open(connection: RTCPeerConnection): RTCPeerConnection {
    const channel = connection.createDataChannel('peersockets/1', { negotiated: true, id: 0 });
    this.#connection = connection;
    this.#channel = channel;
    connection.onicecandidate = ({ candidate: found }) => {
      if (found?.candidate) this.#tell?.(Told.candidate, found.candidate, found.sdpMid);
    };
    connection.onconnectionstatechange = () => {
      const connectivity = CONNECTIVITY.indexOf(connection.connectionState);
      if (connectivity >= 0) this.#tell?.(Told.connectivity, connectivity);
    };
    // Nobody but a remote that does not keep to the protocol opens others.
    connection.ondatachannel = ({ channel: other }) => other.close();
    channel.binaryType = 'arraybuffer';
    channel.bufferedAmountLowThreshold = LOW_WATER;
    channel.onopen = () => this.#tell?.(Told.opened);
    channel.onmessage = ({ data }) => this.#tell?.(Told.message, data);
    channel.onbufferedamountlow = () => this.#tell?.(Told.drained);
    channel.onclose = () => this.#end(Told.closed);
    return connection;
  }

  async #describe(connection: RTCPeerConnection): Promise<void> {
    await connection.setLocalDescription();
    this.#tell?.(Told.description, connection.localDescription?.sdp);
  }

  #end(what: number): void {
    const tell = this.#tell;
    this.#tell = undefined;
    tell?.(what);
  }
}

/** A server that a relay names badly costs nobody the others. */
function connect(iceServers: IceServer[]): RTCPeerConnection {
  try {
    return new RTCPeerConnection({ iceServers });
  } catch (cause) {
    const isTaken = (server: IceServer) => {
      new RTCPeerConnection({ iceServers: [server] }).close();
      return true;
    };
    const taken = iceServers.filter((server) => attempt(() => isTaken(server)));
    if (taken.length === iceServers.length) throw cause;
    return new RTCPeerConnection({ iceServers: taken });
  }
}

/**
 * Whether its first offer waits for an answer. It is not rolled back then but left behind: Chromium often finds no candidates any more after
 * that. In a later one the connection goes on.
 */
function isUnanswered({ localDescription, remoteDescription }: RTCPeerConnection): boolean {
  return localDescription !== null && remoteDescription === null;
}
