import { tooManyHandles } from './backlog.js';
import type { Call } from './backlog.js';
import type { Engine, Receiver } from './engine.js';
import type { Problem } from './errors.js';
import { PeerSocketsEventTarget } from './event-target.js';
import { DrainEvent, TopicMessageEvent } from './events.js';
import type { MessageBytes, PeerSocketsErrorEvent } from './events.js';
import { LONGEST, toBytes } from './message.js';
import type { Message, SendableMessage } from './message.js';
import { parsePeerId } from './peer-id.js';
import { Kind } from './seam.js';
import type { Topic as Glue } from './wasm/glue.js';

/** The events of a {@link Topic}. */
export interface TopicEventMap {
  /** A peer sent a message on this topic. */
  message: TopicMessageEvent;
  /** Over 1 MiB waited for a peer, on whatever topic, and 256 KiB or less do now; or it left. */
  drain: DrainEvent;
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
  readonly #opening: Call;
  #rust: Glue | undefined;
  #isClosed = false;

  private constructor(engine: Engine, name: string) {
    super();
    this.name = name;
    this.#engine = engine;
    this.#opening = {
      run: (rust) => {
        this.#rust = rust.join(name);
        engine.connect(this.#receiver(this.#rust));
      },
    };
    // In Beaker the methods could be taken off the object.
    this.send = this.send.bind(this);
    this.close = this.close.bind(this);
    this.bufferedAmount = this.bufferedAmount.bind(this);
  }

  /** @internal */
  static join(engine: Engine, name: string): Topic {
    const topic = new Topic(engine, name);
    if (!engine.openHandle(topic.#opening)) topic.#report(tooManyHandles);
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
   * Messages arrive in order, for each peer and topic. To a peer that left, and after {@link Topic.close}, nothing is sent and nothing
   * said. A message to an id that no `join` or `message` event has told of goes to whoever gets that id, if it was sent before the
   * first relay was reached; after that, to nobody.
   *
   * It never throws: what can't be sent comes back in an `error` event with its `peerId` and `message`. Codes: `bad-message` (neither
   * text nor bytes), `message-too-large`, `queue-full` (16 MiB or 65,536 messages wait for that peer, or messages of 128 topics
   * do; until the first relay is reached, 256 messages or 1 MiB in all), and the codes with which {@link PeerSockets.ready} rejects.
   *
   * @param peerId - the id from a `join` or `message` event, as a number or its digits
   * @param message - a string, sent as UTF-8, or bytes: an `ArrayBuffer` or any view of one; 0 to 8,388,607 bytes
   */
  send(peerId: number | string, message: SendableMessage): void {
    const id = parsePeerId(peerId);
    if (id === undefined || this.#isClosed || this.#engine.isClosed) return;
    const bytes = toBytes(message);
    if (!(bytes instanceof Uint8Array)) {
      this.#report({ ...bytes, peerId: id });
      return;
    }
    const sent = { given: message, bytes };
    if (bytes.byteLength > LONGEST) {
      this.#report({ code: 'message-too-large', reason: `send() was given a message of ${bytes.byteLength} bytes`, peerId: id }, sent);
      return;
    }
    this.#engine.send(
      this.#opening,
      id,
      sent,
      (kept) => this.#sendNow(id, kept),
      (returned, problem) => this.#report({ ...problem, peerId: id }, returned),
    );
  }

  /**
   * Bytes that wait: of the messages sent to a peer, on all topics, those that it has not confirmed yet, and 32 for each message that it
   * has not confirmed as a whole. 0 for a peer that left, and after {@link Topic.close}.
   *
   * Whoever has much to send stops when this is over 1 MiB, and goes on at the `drain` event for that peer: it comes for each time that
   * this was exceeded, when 256 KiB or less are left or the peer is gone. Beyond 16 MiB {@link Topic.send} gives messages back with
   * `queue-full`.
   *
   * @param peerId - of which peer; without it, of all together
   */
  bufferedAmount(peerId?: number | string): number {
    const id = peerId === undefined ? undefined : parsePeerId(peerId);
    if (this.#isClosed || (peerId !== undefined && id === undefined)) return 0;
    return this.#engine.buffered(id, () => this.#rust?.buffered(id ?? 0));
  }

  /**
   * Ends this object: no event comes any more, and {@link Topic.send} does nothing. Other objects of the same topic go on, and it
   * can be joined again.
   */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#engine.closeHandle(this.#opening, {
      run: () => {
        if (this.#rust) this.#engine.disconnect(this.#rust);
        this.#rust = undefined;
      },
    });
  }

  /** Asks first, so that what is refused takes no memory of Rust's; returns why it is. */
  #sendNow(peerId: number, bytes: Uint8Array): string | undefined {
    const reason = this.#rust?.refusal(peerId, bytes.byteLength);
    if (reason === undefined) this.#rust?.send(peerId, bytes);
    return reason;
  }

  #report(problem: Problem, returned?: Message): void {
    // Not here once it is closed: its errors go on to the PeerSockets.
    this.#engine.report({ ...problem, topic: this.name }, () => (this.#isClosed ? undefined : this), returned);
  }

  #receiver(rust: Glue): Receiver {
    return {
      target: this,
      rust,
      topic: this.name,
      receive: (kind, peerId, payload) => {
        if (kind === Kind.message) this.dispatchEvent(new TopicMessageEvent(peerId, payload as MessageBytes));
        else if (kind === Kind.drain) this.dispatchEvent(new DrainEvent(peerId));
      },
      abandon: () => {},
    };
  }
}
