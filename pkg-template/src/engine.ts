import { attempt } from './attempt.js';
import { Backlog } from './backlog.js';
import type { Call } from './backlog.js';
import { PeerSocketsError } from './errors.js';
import type { Problem } from './errors.js';
import { Lifeline } from './lifeline.js';
import type { Message } from './message.js';
import { Returns } from './returns.js';
import { Kind } from './seam.js';
import type { Deliver, GlueError, GlueOptions, Held, Prepared } from './seam.js';
import type { State } from './stats.js';
import { thrownText } from './text.js';
import { PeerSockets as Glue } from './wasm/glue.js';

/** The `PeerSockets` object, as its engine sees it. Never called inside a call that the page makes. */
export interface Host {
  /** Something went wrong, on this target if it is about one. */
  onProblem(problem: Problem, target?: EventTarget): void;
  /** The state changed. */
  onState(state: State): void;
}

/** What runs beside Rust where a process replicates the drive: the secret streams that Rust has it host. Nothing of it throws. */
export interface Companion {
  /** Rust is there, before any call that waited is made. `call` reaches it until `onStop`. */
  onStart(call: (run: Call['run']) => void): void;
  /** A handle of this topic was opened. */
  onJoin(topic: string): void;
  /** One was closed. */
  onLeave(topic: string): void;
  /** It is closed for the page; resolves when what was sent last has gone, and Rust may be closed too. */
  onClose(): Promise<void>;
  /** Rust is not there any more, or never will be. */
  onStop(): void;
}

/** What Rust made for a `Topic` or `PeerEvents`. */
export interface RustHalf {
  readonly handle: number;
  /** Whether it could be had and is not closed: told of topics where there is a {@link Companion}. */
  readonly isOpen?: boolean;
  close(): void;
  free(): void;
}

/** A `Topic` or `PeerEvents`, as the engine sees it. */
export interface Receiver {
  readonly target: EventTarget;
  readonly rust: RustHalf;
  /** Its topic's name. */
  readonly topic?: string;
  /** Something came for it. */
  receive(kind: number, peerId: number, payload: unknown): void;
  /** Nothing will come any more, because Rust crashed. */
  abandon(): void;
}

/** Loads the WebAssembly and gives what Rust is made of, or rejects with a `PeerSocketsError`. */
export type Prepare = () => Promise<Prepared>;

/** Told of a message that can't be sent, and why. */
type GiveBack = (message: Message, problem: Problem) => void;

/**
 * The Rust half of one `PeerSockets`: brings it up, keeps calls for it until then, and tells receivers what it delivers. Once it was
 * closed it is dead to the page; once it has failed, every message comes back.
 */
export class Engine {
  /** Resolves when Rust is there and has got all calls made before; rejects with a `PeerSocketsError`. */
  readonly opened: Promise<void>;
  readonly #host: Host;
  readonly #companion: Companion | undefined;
  readonly #receivers = new Map<number, Receiver>();
  readonly #returns = new Returns();
  readonly #lifeline = new Lifeline((cause) => this.#fail(cause));
  #backlog = new Backlog();
  #rust: Glue | undefined;
  #failure: PeerSocketsError | undefined;
  #isClosed = false;

  constructor(prepare: Prepare, host: Host, companion?: Companion) {
    this.#host = host;
    this.#companion = companion;
    this.opened = this.#open(prepare);
    // Whoever wants to know asks for `ready` or listens to `error`.
    this.opened.catch(() => {});
  }

  /** Whether it was closed: calls are not made any more. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Makes a call if Rust is there. */
  callIfOpen(run: Call['run']): void {
    if (this.#rust) this.#make({ run }, this.#rust);
  }

  /**
   * Makes the call that opens a handle: now, or when Rust is there.
   *
   * @returns `false` if too many are open already
   */
  openHandle(opening: Call): boolean {
    if (this.#isLoading) return this.#backlog.open(opening);
    this.#call(opening);
    return true;
  }

  /** Makes the call that closes a handle: now, or when Rust is there. */
  closeHandle(opening: Call, closing: Call): void {
    if (this.#isLoading) this.#backlog.close(opening, closing);
    else this.#call(closing);
  }

  /** What the messages count for that wait to be sent to a peer, or to all: `half` tells it once Rust is there. */
  buffered(peerId: number | undefined, half: (() => number | undefined) | undefined): number {
    if (this.#isLoading) return this.#backlog.weight(peerId);
    let bytes: number | undefined;
    this.callIfOpen(() => {
      bytes = half?.();
    });
    return bytes ?? 0;
  }

  /** Sends a peer a message on a handle: now, or when Rust is there. `send` tells why it is not taken, and `giveBack` is told. */
  send(opening: Call, peerId: number, message: Message, send: (bytes: Uint8Array) => string | undefined, giveBack: GiveBack): void {
    const sending = (message: Message): Call => ({
      run: () => {
        const reason = send(message.bytes);
        if (reason !== undefined) giveBack(message, { code: 'queue-full', reason });
      },
      fail: (error) => giveBack(message, problemOf(error)),
    });
    if (!this.#isLoading) {
      this.#call(sending(message));
      return;
    }
    const { byteLength } = message.bytes;
    const copy = this.#backlog.hasRoom(byteLength) ? attempt(() => message.bytes.slice()) : undefined;
    if (copy) this.#backlog.send(opening, sending({ given: copy, bytes: copy }), peerId, byteLength);
    else giveBack(message, { code: 'queue-full', reason: 'more than 256 messages or 1 MiB were sent before the WebAssembly was loaded' });
  }

  /** Lets a receiver have what comes for its half of Rust's. */
  connect(receiver: Receiver): void {
    this.#receivers.set(receiver.rust.handle, receiver);
    const topic = joinedTopic(receiver);
    if (topic !== undefined) this.#companion?.onJoin(topic);
  }

  /** Closes a half of Rust's and lets nothing come for it any more, not even what is on its way. */
  disconnect(rust: RustHalf): void {
    const receiver = this.#receivers.get(rust.handle);
    const topic = receiver && joinedTopic(receiver);
    if (topic !== undefined) this.#companion?.onLeave(topic);
    this.#receivers.delete(rust.handle);
    rust.close();
    this.#free(rust);
  }

  /**
   * Reports a problem found inside a call of the page's, and gives a message back: after that call, when its listeners are there.
   */
  report(problem: Problem, target: () => EventTarget | undefined, returned?: Message): void {
    const message = returned ? this.#returns.add(returned) : problem.message;
    queueMicrotask(() => {
      this.#returns.remove(message);
      this.#host.onProblem({ ...problem, message }, target());
    });
  }

  /** Ends it for good, without an event: at once, or as soon as its companion's last words have gone. */
  close(): void {
    const rust = this.#rust;
    const halves = [...this.#receivers.values()].map((receiver) => receiver.rust);
    this.#isClosed = true;
    this.#rust = undefined;
    this.#receivers.clear();
    this.#backlog = new Backlog();
    if (!rust) this.#companion?.onStop();
    else if (this.#companion) void this.#companion.onClose().then(() => this.#end(rust, halves));
    else this.#end(rust, halves);
  }

  get #isLoading(): boolean {
    return !this.#rust && !this.#failure && !this.#isClosed;
  }

  #call(call: Call): void {
    if (this.#rust) this.#make(call, this.#rust);
    else if (this.#failure) call.fail?.(this.#failure);
  }

  async #open(prepare: Prepare): Promise<void> {
    try {
      const options = await prepare();
      if (!this.#isClosed) this.#start(options);
    } catch (cause) {
      throw isRendering(cause) ? cause : this.#fail(cause);
    }
  }

  #start({ iceServers, ...options }: Prepared): void {
    this.#lifeline.iceServers = iceServers;
    const held: GlueOptions & Held = { ...options, lifeline: this.#lifeline };
    const rust = begin(held, this.#deliver);
    this.#rust = rust;
    this.#companion?.onStart((run) => this.#make({ run }, rust));
    this.#replay();
    if (this.#failure) throw this.#failure;
    // Last, because its listeners may make calls.
    this.#host.onState('connecting');
    const isAlone = options.relays.length + options.peers.length === 0 && !options.host;
    if (isAlone && !this.#isClosed) this.#host.onProblem({ code: 'no-relay', reason: 'no relay and no drive peer is named' });
  }

  /** Makes the calls that waited, or tells them that they never will be. */
  #replay(): void {
    const calls = this.#backlog;
    this.#backlog = new Backlog();
    for (const call of calls) this.#call(call);
  }

  /** Rust never throws, so what is thrown is a trap, after which nothing in it can be trusted. */
  #make(call: Call, rust: Glue): void {
    if (this.#lifeline.isCut) return;
    try {
      call.run(rust);
    } catch (cause) {
      const error = this.#fail(cause);
      call.fail?.(error);
    }
  }

  /** Ends it with one error; nothing that was given is lost in silence. What no check foresaw is a crash. */
  #fail(cause: unknown): PeerSocketsError {
    const error = cause instanceof PeerSocketsError ? cause : crashOf(cause);
    if (this.#failure) return error;
    const receivers = [...this.#receivers.values()];
    this.#lifeline.cut();
    this.#rust = undefined;
    this.#receivers.clear();
    this.#companion?.onStop();
    if (this.#isClosed) return error;
    this.#failure = error;
    queueMicrotask(() => {
      this.#host.onState('failed');
      this.#host.onProblem(problemOf(error));
      for (const receiver of receivers) receiver.abandon();
    });
    this.#replay();
    return error;
  }

  #end(rust: Glue, halves: RustHalf[]): void {
    const run = () => {
      rust.close();
      for (const half of halves) this.#free(half);
      this.#free(rust);
    };
    this.#make({ run }, rust);
    this.#companion?.onStop();
  }

  /** In a microtask: nothing of it is on the stack then, and Rust has had its own that were queued. Never after a crash. */
  #free(rust: { free(): void }): void {
    queueMicrotask(() => {
      if (this.#lifeline.isCut) return;
      try {
        rust.free();
      } catch (cause) {
        this.#fail(cause);
      }
    });
  }

  readonly #deliver: Deliver = (kind, handle, peerId, payload) => {
    if (!this.#rust) return;
    if (kind === Kind.state) this.#host.onState(payload as State);
    else if (kind === Kind.error) this.#deliverError(handle, peerId, payload as GlueError);
    else this.#receivers.get(handle)?.receive(kind, peerId, payload);
  };

  #deliverError(handle: number, peerId: number, { code, text, url, topic, message }: GlueError): void {
    const receiver = this.#receivers.get(handle);
    const problem = { code, reason: text, url, topic: topic ?? receiver?.topic, message, peerId: peerId === 0 ? undefined : peerId };
    this.#host.onProblem(problem, receiver?.target);
  }
}

/** Throws a `PeerSocketsError` where Rust can do nothing with the options. */
function begin(options: GlueOptions & Held, deliver: Deliver): Glue {
  try {
    return new Glue(options, deliver);
  } catch (cause) {
    if (cause instanceof Error) throw cause;
    const { code, text, url } = cause as GlueError;
    throw new PeerSocketsError({ code, reason: text, url });
  }
}

/** The topic of a receiver, if it has one and Rust did not refuse it. */
function joinedTopic({ topic, rust }: Receiver): string | undefined {
  return rust.isOpen ? topic : undefined;
}

/** A server that renders a page shows what the browser shows first: that it loads. */
function isRendering(cause: unknown): boolean {
  return cause instanceof PeerSocketsError && cause.code === 'no-page';
}

function crashOf(cause: unknown): PeerSocketsError {
  return new PeerSocketsError({ code: 'crashed', reason: `the WebAssembly crashed: ${thrownText(cause)}`, cause });
}

function problemOf({ code, reason, url, cause }: PeerSocketsError): Problem {
  return { code, reason, url, cause };
}
