// The events of the package. What they carry are own enumerable properties, so `{ ...event }` copies it as it did in Beaker.

import { PeerSocketsError } from './errors.js';
import type { ErrorCode, Problem } from './errors.js';
import type { Path, State } from './stats.js';

/** A peer came (`join`) or went (`leave`). */
export class PeerEvent extends Event {
  /** The peer's id: a whole number from 1, the same in `join`, `message` and `leave`, kept when its device comes back. */
  readonly peerId: number;

  /** @internal */
  constructor(type: 'join' | 'leave', peerId: number) {
    super(type);
    this.peerId = peerId;
  }
}

/** Messages to a peer travel in another way than before, or it has just come (`path`). */
export class PathEvent extends Event {
  /** The id of the peer. */
  readonly peerId: number;
  /** How they travel now. */
  readonly path: Path;
  /** Milliseconds from a question to its answer on that connection; `undefined` if that was not measured yet. `stats()` has newer ones. */
  readonly roundTripTime: number | undefined;

  /** @internal */
  constructor(peerId: number, { path, roundTripTime }: Pick<PathEvent, 'path' | 'roundTripTime'>) {
    super('path');
    this.peerId = peerId;
    this.path = path;
    this.roundTripTime = roundTripTime;
  }
}

/** Bytes with a buffer of their own, which TypeScript 5.7 and newer call `Uint8Array<ArrayBuffer>`. */
export type MessageBytes = ReturnType<Uint8Array['slice']>;

/** A peer sent a message (`message`). */
export class TopicMessageEvent extends Event {
  /** The id of the peer that sent it. */
  readonly peerId: number;
  /** Its bytes, 0 to 8,388,607 of them: a copy of this listener's topic object alone. */
  readonly message: MessageBytes;

  /** @internal */
  constructor(peerId: number, message: MessageBytes) {
    super('message');
    this.peerId = peerId;
    this.message = message;
  }
}

/** Little waits to be sent to a peer again (`drain`). */
export class DrainEvent extends Event {
  /** The id of the peer. */
  readonly peerId: number;

  /** @internal */
  constructor(peerId: number) {
    super('drain');
    this.peerId = peerId;
  }
}

/** The state of a `PeerSockets` changed (`state`). */
export class StateEvent extends Event {
  /** The new state. */
  readonly state: State;

  /** @internal */
  constructor(state: State) {
    super('state');
    this.state = state;
  }
}

/** Something went wrong (`error`). */
export class PeerSocketsErrorEvent extends Event {
  /** What kind of error it is: stable, for programs. */
  readonly code: ErrorCode;
  /** What happened, for people; without a full stop. */
  readonly reason: string;
  /** What to do about it, in one or two sentences. */
  readonly remedy: string;
  /** The URL of the relay or file it is about, if it is about one. */
  readonly url: string | undefined;
  /** The name of the topic it is about, if it is about one. */
  readonly topic: string | undefined;
  /** The peer it is about, if it is about one. */
  readonly peerId: number | undefined;
  /**
   * The message that was not sent, if one was not: a `Uint8Array` of its own, of the bytes as they were when it was sent.
   *
   * What was given to `send()` itself where it has no bytes (`bad-message`), is a string of over 8,388,607 characters, or there is no
   * memory for a copy: more than 64 MiB of copies in one turn are not made.
   */
  readonly message: unknown;
  /** The same as an `Error`, ready to be thrown. */
  readonly error: PeerSocketsError;

  /** @internal */
  constructor(problem: Problem) {
    super('error');
    this.error = new PeerSocketsError(problem);
    this.code = this.error.code;
    this.reason = problem.reason;
    this.remedy = this.error.remedy;
    this.url = problem.url;
    this.topic = problem.topic;
    this.peerId = problem.peerId;
    this.message = problem.message;
  }
}
