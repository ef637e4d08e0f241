import { raw } from './hypercore.js';
import type { Channel, Mux, SecretStream } from './hypercore.js';
import { PROTOCOL, claimChannel, holdChannels } from './pairing.js';
import { watch } from './watching.js';
import type { Watcher } from './watching.js';
import type { PeerSockets as Rust } from '../wasm/host.js';

/** More types of messages than `peersockets/1` will ever have; Rust knows which there are. */
const KINDS = 64;

/** Tells Rust something, and gives its answer; `undefined` where Rust is not there. */
export type Tell = <Answer>(run: (rust: Rust) => Answer) => Answer | undefined;

/** A secret stream with a mux, and on it the channel `peersockets/1` of one drive. */
export class Connection implements Watcher {
  readonly stream: SecretStream;
  /** What Rust calls it: its link, or 0 while it is none. */
  link = 0;
  protected readonly tell: Tell;
  readonly #mux: Mux;
  /** What its channel is opened with, once Rust has said so. */
  #opening: { id: Uint8Array; handshake: Uint8Array } | undefined;
  #channel: Channel | undefined;
  /** Ends the wait of channels that the remote opens. */
  #settle = () => {};
  #unclaim: (() => void) | undefined;
  readonly #unhold: () => void;
  readonly #unwatch: () => void;

  constructor(stream: SecretStream, tell: Tell) {
    this.stream = stream;
    this.tell = tell;
    this.#mux = stream.userData;
    this.#unhold = holdChannels(this.#mux, this.#expect());
    this.#unwatch = watch(stream, this);
  }

  onData(): void {}

  onDrain(): void {
    this.tell((rust) => rust.handleStreamDrained(this.link, true));
  }

  onClose(): void {
    const { link } = this;
    this.#forget();
    this.tell((rust) => rust.handleStreamEnded(link));
  }

  /**
   * Opens the channel.
   *
   * @returns `false` if it is not ours to open
   */
  open(id: Uint8Array, handshake: Uint8Array): boolean {
    this.#unclaim ??= claimChannel(this.#mux, id);
    if (!this.#unclaim) return false;
    this.#opening = { id, handshake };
    this.#mux.pair({ protocol: PROTOCOL, id }, () => this.#answer());
    this.#openChannel();
    this.#settle();
    return true;
  }

  /** Sends a message on the channel. */
  message(kind: number, payload: Uint8Array): void {
    this.#channel?.messages[kind]?.send(payload);
    this.tellIfFull();
  }

  /** Resolves when what was sent on the channel has gone. */
  async flush(): Promise<void> {
    if (!this.#channel) return;
    this.#release();
    await this.stream.flush();
  }

  /** Is no link any more: the channel is closed, the stream goes on. */
  leave(): void {
    const channel = this.#channel;
    this.link = 0;
    this.#channel = undefined;
    channel?.close();
    this.#release();
    this.#settle();
  }

  /** Takes no channels any more. */
  stop(): void {
    this.leave();
    this.#forget();
  }

  /** Becomes a link, if it can. */
  protected begin(): void {}

  /** To be called after what is written. */
  protected tellIfFull(): void {
    if (!this.#mux.drained) this.tell((rust) => rust.handleStreamDrained(this.link, false));
  }

  /** The remote opens the channel that we know by its id: it came late, and had rejected ours, or comes back. */
  #answer(): Promise<void> | undefined {
    if (this.#channel) return undefined;
    if (this.link !== 0) {
      this.#openChannel();
      return undefined;
    }
    const opened = this.#expect();
    this.begin();
    if (this.link === 0) this.#settle();
    return opened;
  }

  /** Resolves when the channel is opened, or will not be. */
  #expect(): Promise<void> {
    return new Promise((resolve) => {
      this.#settle = resolve;
    });
  }

  /**
   * Writes what the mux holds back: one that was sent a batch is corked until every channel in it is paired, which may take longer than
   * we are there.
   */
  #release(): void {
    const { corked } = this.#mux;
    for (let count = 0; count < corked; count += 1) this.#mux.uncork();
    for (let count = 0; count < corked; count += 1) this.#mux.cork();
  }

  /** Leaves nothing of ours on the stream. */
  #forget(): void {
    this.#unwatch();
    this.#unhold();
    if (this.#opening) this.#mux.unpair({ protocol: PROTOCOL, id: this.#opening.id });
    this.#unclaim?.();
  }

  #openChannel(): void {
    const { link } = this;
    if (!this.#opening) return;
    const { id, handshake } = this.#opening;
    const channel = this.#mux.createChannel({
      protocol: PROTOCOL,
      id,
      handshake: raw,
      messages: Array.from({ length: KINDS }, (_, kind) => ({
        encoding: raw,
        onmessage: (payload: Uint8Array) => void this.tell((rust) => rust.handleChannelMessage(link, kind, payload)),
      })),
      onopen: (handshake) => void this.tell((rust) => rust.handleChannelOpened(link, handshake)),
      onclose: () => {
        if (this.#channel !== channel) return;
        this.#channel = undefined;
        this.tell((rust) => rust.handleChannelClosed(link));
      },
    });
    if (channel) {
      this.#channel = channel;
      channel.open(handshake);
    } else {
      this.tell((rust) => rust.handleChannelClosed(link));
    }
  }
}
