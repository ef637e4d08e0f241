// What TypeScript and Rust pass each other, beside the classes that wasm-bindgen exports.

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
}

/** The first argument of {@link Deliver}. */
export const Kind = { join: 1, leave: 2, message: 3, error: 4, state: 5 } as const;

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
