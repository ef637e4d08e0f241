import type { Hypercore, Peer } from './hypercore.js';

/** What Beaker called a topic's messages. */
const PREFIX = 'peersockets/v0/';

/** Gets a topic's message that came as an extension. */
type Receive = (topic: string, bytes: Uint8Array, peer: Peer) => void;

/** The topic's name as an extension. */
export function extensionName(topic: string): string {
  return PREFIX + topic;
}

/** The topics that are joined, as extensions of the drive's core: as long as a handle of theirs is open. */
export class Extensions {
  readonly #core: Hypercore;
  readonly #receive: Receive;
  readonly #topics = new Map<string, { handles: number; destroy(): void }>();

  /** `core` is a session of our own: what the user registers on his stays his. */
  constructor(core: Hypercore, receive: Receive) {
    this.#core = core;
    this.#receive = receive;
  }

  /** One more handle of a topic. */
  join(topic: string): void {
    const joined = this.#topics.get(topic);
    if (joined) {
      joined.handles += 1;
      return;
    }
    const extension = this.#core.registerExtension(extensionName(topic), {
      encoding: 'binary',
      onmessage: (bytes, peer) => this.#receive(topic, bytes, peer),
    });
    this.#topics.set(topic, { handles: 1, destroy: () => extension.destroy() });
  }

  /** One less. */
  leave(topic: string): void {
    const joined = this.#topics.get(topic);
    if (!joined) return;
    joined.handles -= 1;
    if (joined.handles > 0) return;
    this.#topics.delete(topic);
    joined.destroy();
  }
}
