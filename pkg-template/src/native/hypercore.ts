// What we use of npm's hyperdrive, hypercore, protomux and secret-stream. Their objects come with the user's drive, in the user's
// versions: nothing of them is imported.

/** An Ed25519 key pair as libsodium has it: the secret key is a seed of 32 bytes and the public key. */
export interface KeyPair {
  readonly publicKey: Uint8Array;
  readonly secretKey: Uint8Array;
}

/** npm `hyperdrive`. */
export interface Hyperdrive {
  readonly key: Uint8Array;
  readonly core: Hypercore;
  /** Its store, or a namespace of it. */
  readonly corestore?: { readonly root?: object | null };
  ready(): Promise<unknown>;
  replicate(stream: unknown): unknown;
  once(event: 'close', listener: () => void): unknown;
  off(event: 'close', listener: () => void): unknown;
}

/** npm `hypercore`, or one session of it. */
export interface Hypercore {
  readonly constructor: {
    /** A secret stream with a mux, of this role; of a stream that is there, the same one, with a mux. */
    createProtocolStream(stream: boolean | object): RawStream;
  };
  readonly peers: Iterable<Peer>;
  ready(): Promise<unknown>;
  session(options: { weak: boolean }): Hypercore;
  registerExtension(name: string, handlers: ExtensionHandlers): { destroy(): void };
  on(event: 'peer-add' | 'peer-remove', listener: (peer: Peer) => void): unknown;
  close(): Promise<unknown>;
}

/** How an extension's messages are read, and who gets them. */
export interface ExtensionHandlers {
  encoding: 'binary';
  onmessage(bytes: Uint8Array, peer: Peer): void;
}

/** One core's channel on a stream, open on both sides: the remote has proved that it knows the core's key. */
export interface Peer {
  readonly stream: SecretStream;
  extension(name: string, payload: Uint8Array): void;
}

/** npm `streamx`, as far as we use it. */
interface Stream {
  on(event: 'data' | 'drain' | 'close' | 'error', listener: () => void): this;
  off(event: 'data' | 'drain' | 'close' | 'error', listener: () => void): this;
  readonly destroying: boolean;
  destroy(): void;
}

/** The sealed side of a secret stream, or that stream itself. */
export interface RawStream {
  readonly noiseStream: SecretStream;
}

/** npm `@hyperswarm/secret-stream`. */
export interface SecretStream extends Stream {
  readonly constructor: new (isInitiator: boolean, rawStream: object, options: { keyPair: KeyPair }) => SecretStream;
  readonly isInitiator: boolean;
  /** Whether the handshake succeeded, once it is over. */
  readonly opened: Promise<boolean>;
  readonly remotePublicKey: Uint8Array;
  readonly handshakeHash: Uint8Array;
  /** The mux, once there is one. */
  readonly userData: Mux;
  flush(): Promise<boolean>;
}

/** npm `protomux`. */
export interface Mux {
  /** Whether the stream takes more. */
  readonly drained: boolean;
  /** How often it is corked: while it is, what is sent waits for one batch. */
  readonly corked: number;
  cork(): void;
  uncork(): void;
  pair(channel: ChannelName, asked: () => unknown): void;
  unpair(channel: ChannelName): void;
  /** `null` where the stream is over or that channel is open. */
  createChannel(options: ChannelOptions): Channel | null;
}

/** What names a channel; without an id, every channel of the protocol that is not named more exactly. */
export interface ChannelName {
  protocol: string;
  id?: Uint8Array;
}

interface ChannelOptions extends ChannelName {
  handshake: Encoding;
  messages: { encoding: Encoding; onmessage(payload: Uint8Array): void }[];
  onopen(handshake: Uint8Array): void;
  onclose(): void;
}

/** A channel of a mux. */
export interface Channel {
  readonly messages: { send(payload: Uint8Array): boolean }[];
  open(handshake: Uint8Array): void;
  close(): void;
}

/** npm `compact-encoding`. */
export interface Encoding {
  preencode(state: { end: number }, bytes: Uint8Array): void;
  encode(state: { buffer: Uint8Array; start: number }, bytes: Uint8Array): void;
  decode(state: { buffer: Uint8Array; start: number; end: number }): Uint8Array;
}

/** The rest of a frame, as it is. */
export const raw: Encoding = {
  preencode(state, bytes) {
    state.end += bytes.byteLength;
  },
  encode(state, bytes) {
    state.buffer.set(bytes, state.start);
    state.start += bytes.byteLength;
  },
  decode(state) {
    const bytes = state.buffer.subarray(state.start, state.end);
    state.start = state.end;
    return bytes;
  },
};
