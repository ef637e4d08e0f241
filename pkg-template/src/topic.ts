import type { Engine, Receiver } from './engine.js';
import type { Problem } from './errors.js';
import { PeerSocketsEventTarget } from './event-target.js';
import { TopicMessageEvent } from './events.js';
import type { PeerSocketsErrorEvent } from './events.js';
import { LONGEST, copyOf, toBytes } from './message.js';
import type { SendableMessage } from './message.js';
import { parsePeerId } from './peer-id.js';
import { Kind } from './seam.js';
import type { Topic as Glue } from './wasm/glue.js';

/** The events of a {@link Topic}. */
export interface TopicEventMap {
  /** A peer sent a message on this topic. */
  message: TopicMessageEvent;
  /** Something about this topic went wrong. With no listener here it goes on to the `PeerSockets`. */
  error: PeerSocketsErrorEvent;
}

/**
 * One use of a topic, made by {@link PeerSockets.join}. Several of the same name get each message each, and end on their own.
 */
export class Topic extends PeerSocketsEventTarget<TopicEventMap> {
  /** The topic's name. */
  readonly name: string;
  readonly #engine: Engine;
  #rust: Glue | undefined;
  #isClosed = false;

  private constructor(engine: Engine, name: string) {
    super();
    this.name = name;
    this.#engine = engine;
    // In Beaker the methods could be taken off the object.
    this.send = this.send.bind(this);
    this.close = this.close.bind(this);
  }

  /** @internal */
  static join(engine: Engine, name: string): Topic {
    const topic = new Topic(engine, name);
    engine.call({
      run: (rust) => {
        topic.#rust = rust.join(name);
        engine.connect(topic.#rust.handle, topic.#receiver());
      },
    });
    return topic;
  }

  /**
   * A topic that can't be joined: it says so in an `error` event and does nothing else.
   *
   * @internal
   */
  static refuse(engine: Engine, problem: Problem): Topic {
    const topic = new Topic(engine, '');
    topic.#report(problem);
    return topic;
  }

  /**
   * Sends a message to one peer. The bytes are copied at once; the buffer may be used again.
   *
   * Messages arrive in order, for each peer and topic. To a peer that left or never was, and after {@link Topic.close}, nothing is
   * sent and nothing said. It never throws: what can't be sent comes back in an `error` event with its `peerId` and `message`. Codes:
   * `bad-message` (neither text nor bytes), `message-too-large`, `queue-full` (16 MiB wait for that peer; while the page loads, 256
   * messages or 1 MiB in all), and the codes of a WebAssembly that could not be loaded.
   *
   * @param peerId - the id from a `join` or `message` event, as a number or its digits
   * @param message - a string, sent as UTF-8, or bytes: an `ArrayBuffer` or any view of one; 0 to 8,388,607 bytes
   */
  send(peerId: number | string, message: SendableMessage): void {
    const id = parsePeerId(peerId);
    if (id === undefined || this.#isClosed || this.#engine.hasEnded) return;
    const bytes = toBytes(message);
    if (!bytes) {
      this.#report({ code: 'bad-message', reason: `send() was given ${kindOf(message)}`, peerId: id, message });
      return;
    }
    if (bytes.byteLength > LONGEST) {
      const reason = `send() was given a message of ${bytes.byteLength} bytes`;
      this.#report({ code: 'message-too-large', reason, peerId: id, message: copyOf(bytes) });
      return;
    }
    this.#engine.send(
      bytes,
      (kept) => this.#rust?.send(id, kept),
      (problem) => this.#report({ ...problem, peerId: id }),
    );
  }

  /**
   * Ends this object: no event comes any more, and {@link Topic.send} does nothing. Other objects of the same topic go on, and it
   * can be joined again.
   */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#engine.call({
      run: () => {
        if (!this.#rust) return;
        this.#engine.disconnect(this.#rust.handle);
        this.#rust.close();
        this.#rust = undefined;
      },
    });
  }

  #report(problem: Problem): void {
    // Not here once it is closed: its errors go on to the PeerSockets.
    this.#engine.report({ ...problem, topic: this.name }, () => (this.#isClosed ? undefined : this));
  }

  #receiver(): Receiver {
    return {
      target: this,
      topic: this.name,
      receive: (kind, peerId, payload) => {
        if (kind === Kind.message) this.dispatchEvent(new TopicMessageEvent(peerId, payload as Uint8Array));
      },
      abandon: () => {},
    };
  }
}

/** Names a value's kind in an error's text. */
function kindOf(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (ArrayBuffer.isView(value)) return 'a view of a buffer that was transferred away';
  if (Array.isArray(value)) return 'an array';
  const type = typeof value;
  return type === 'object' ? 'an object' : `a ${type}`;
}
