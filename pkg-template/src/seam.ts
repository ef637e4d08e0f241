// What TypeScript and Rust pass each other, beside the classes that wasm-bindgen exports.

import type { Lifeline } from './lifeline.js';
import type { IceServer } from './peer-sockets.js';

/** What Rust's `PeerSockets` is made of. */
export interface GlueOptions {
  /** Text that names the drive. Without it Rust derives the drive from `origin`. */
  drive?: string;
  /** The page's origin; `"null"` where it has none. */
  origin: string;
  /** Absolute `ws:` or `wss:` URLs; text that could not be made one stays as it was, for Rust to refuse. */
  relays: string[];
  /** The same for drive peers. */
  peers: string[];
  /** Whether the browser forbids the page plain `ws:` as mixed content. */
  isSecure: boolean;
  /** Milliseconds that sessions are kept, where that is not left to Rust. */
  sessionTime?: number;
  /** Peers that are connected to directly at most; 0 where that can't be done or is not wanted. */
  directPeers: number;
  /** Who runs the secret streams of circuits. Only the WebAssembly for native peers knows it, and needs it. */
  host?: StreamHost;
  /** With it, the 32 secret bytes that the device key is made of. */
  deviceSeed?: Uint8Array;
}

/** What Rust's `PeerSockets` is made of, and what of it is not for Rust. */
export interface Prepared extends GlueOptions {
  /** The STUN and TURN servers of direct connections, where they are not left to the relays. */
  iceServers?: IceServer[];
}

/** Beside them, who holds all that Rust opens outside. */
export interface Held {
  lifeline: Lifeline;
}

/** What Rust has done to secret streams, each named by the number of its link. What it throws ends that link. */
export interface StreamHost {
  /** Make one for a circuit. */
  start(link: number, isInitiator: boolean): void;
  /** Hand it bytes from its circuit. */
  read(link: number, bytes: Uint8Array): void;
  /** Go on writing to the circuit. */
  drained(link: number): void;
  /** Open `peersockets/1` with this id and handshake. */
  open(link: number, id: Uint8Array, handshake: Uint8Array): void;
  /** Send a message on `peersockets/1`. */
  message(link: number, kind: number, payload: Uint8Array): void;
  /** Send a topic's message as an extension. */
  extension(link: number, topic: string, payload: Uint8Array): void;
  /** Replicate the drive. */
  replicate(link: number): void;
  /** End it, or leave one that is not ours, and forget it. */
  end(link: number): void;
}

/** The first argument of {@link Deliver}. */
export const Kind = { join: 1, leave: 2, message: 3, error: 4, state: 5, drain: 6, path: 7 } as const;

/** Rust's one callback; it never runs inside a call that TypeScript makes. Positional, because it is the data path. */
export type Deliver = (kind: number, handle: number, peerId: number, payload: unknown) => void;

/** The payload of an error. */
export interface GlueError {
  code: string;
  /** What happened, without a full stop. */
  text: string;
  url?: string;
  topic?: string;
  /** The message that was not sent. */
  message?: Uint8Array;
}
