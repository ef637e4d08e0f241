// What we use of Node and of npm `ws`: few enough names to be told here, and none of them is in reach of what pages run.

declare module 'node:crypto' {
  /** A key. */
  interface KeyObject {
    export(options: { format: 'jwk' }): { x: string };
  }

  /** Random bytes. */
  export function randomBytes(size: number): Uint8Array;
  /** A private key that is written down. */
  export function createPrivateKey(written: { key: Uint8Array; format: 'der'; type: 'pkcs8' }): KeyObject;
  /** The public key of a private one. */
  export function createPublicKey(key: KeyObject): KeyObject;
}

declare module 'node:fs/promises' {
  /** The bytes of a file. */
  export function readFile(path: URL | string): Promise<Uint8Array<ArrayBuffer>>;
}

declare module 'node:buffer' {
  /** Node's bytes. */
  export const Buffer: { from(text: string, encoding: 'base64url'): Uint8Array };
}

declare module 'node:stream' {
  /** What a duplex stream does. */
  interface DuplexOptions {
    read(): void;
    write(bytes: Uint8Array, encoding: string, written: () => void): void;
  }

  /** A stream of bytes in both directions. */
  export class Duplex {
    constructor(options: DuplexOptions);
    push(bytes: Uint8Array): boolean;
    /** Bytes that nobody has read. */
    readonly readableLength: number;
  }
}

declare module 'ws' {
  /** Options of a client's socket. */
  interface ClientOptions {
    perMessageDeflate: boolean;
    /** Whether several messages may come in one turn. */
    allowSynchronousEvents: boolean;
    /** Milliseconds that the farewell may take. */
    closeTimeout: number;
    /** Bytes of the longest message that is taken. */
    maxPayload: number;
  }

  /** A client's socket. */
  export class WebSocket {
    static readonly OPEN: number;
    constructor(url: string, protocols: string | string[], options: ClientOptions);
    binaryType: 'arraybuffer';
    readonly bufferedAmount: number;
    readonly readyState: number;
    on(event: 'open' | 'close' | 'error', listener: () => void): this;
    on(event: 'message', listener: (data: ArrayBuffer, isBinary: boolean) => void): this;
    send(data: Uint8Array): void;
    close(): void;
  }
}
