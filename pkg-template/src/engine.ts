import { Backlog } from './backlog.js';
import type { Call } from './backlog.js';
import { chooseDrive } from './drive.js';
import { PeerSocketsError } from './errors.js';
import type { Problem } from './errors.js';
import { loadWasm } from './load.js';
import { copyOf } from './message.js';
import { currentPage, isSecurePage, pageIsParsed } from './page.js';
import type { PeerSocketsOptions } from './peer-sockets.js';
import { chooseRelays } from './relays.js';
import { Kind } from './seam.js';
import type { Deliver, GlueError, GlueOptions } from './seam.js';
import type { State } from './stats.js';
import { toText } from './text.js';
import { PeerSockets as Glue } from './wasm/glue.js';

/** The `PeerSockets` object, as its engine sees it. Never called inside a call that the page makes. */
export interface Host {
  /** Something went wrong, on this target if it is about one. */
  onProblem(problem: Problem, target?: EventTarget): void;
  /** The state changed. */
  onState(state: State): void;
}

/** A `Topic` or `PeerEvents`, as the engine sees it. */
export interface Receiver {
  readonly target: EventTarget;
  /** Its topic's name. */
  readonly topic?: string;
  /** Something came for it. */
  receive(kind: number, peerId: number, payload: unknown): void;
  /** Nothing will come any more, because Rust crashed. */
  abandon(): void;
}

/**
 * The Rust half of one `PeerSockets`: brings it up, keeps calls for it until then, tells receivers what it delivers, and is
 * dead to the page once it was closed or has crashed.
 */
export class Engine {
  /** Resolves when Rust is there and has got all calls made before; rejects with a `PeerSocketsError`. */
  readonly opened: Promise<void>;
  readonly #host: Host;
  readonly #receivers = new Map<number, Receiver>();
  #backlog = new Backlog();
  #rust: Glue | undefined;
  #loadError: PeerSocketsError | undefined;
  #hasEnded = false;

  constructor(options: PeerSocketsOptions, host: Host) {
    this.#host = host;
    this.opened = this.#open(options);
    // Whoever wants to know asks for `ready` or listens to `error`.
    this.opened.catch(() => {});
  }

  /** Whether it was closed or has crashed: calls are not made any more. */
  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** Makes a call: now, or when Rust is there. */
  call(call: Call): void {
    if (this.#rust) this.#run(call.run);
    else if (this.#isLoading) this.#backlog.add(call);
  }

  /** Makes a call if Rust is there. */
  callIfOpen(run: Call['run']): void {
    if (this.#rust) this.#run(run);
  }

  /** Sends a message: now, or when Rust is there. `refuse` is told why it never will be. */
  send(bytes: Uint8Array, send: (bytes: Uint8Array) => void, refuse: (problem: Problem) => void): void {
    if (this.#rust) return this.#run(() => send(bytes));
    if (this.#hasEnded) return;
    const kept = copyOf(bytes);
    const fail = (error: PeerSocketsError) => refuse({ ...problemOf(error), message: kept });
    if (this.#loadError) {
      fail(this.#loadError);
    } else if (!this.#backlog.add({ run: () => send(kept), fail }, kept.byteLength)) {
      refuse({ code: 'queue-full', reason: 'more than 256 messages or 1 MiB were sent before the WebAssembly was loaded', message: kept });
    }
  }

  /** Lets a receiver have what comes for this handle of Rust's. */
  connect(handle: number, receiver: Receiver): void {
    this.#receivers.set(handle, receiver);
  }

  /** Lets nothing come for this handle any more, not even what is on its way. */
  disconnect(handle: number): void {
    this.#receivers.delete(handle);
  }

  /** Reports a problem found inside a call of the page's: after that call, when its listeners are there. */
  report(problem: Problem, target: () => EventTarget | undefined): void {
    queueMicrotask(() => this.#host.onProblem(problem, target()));
  }

  /** Ends it for good, without an event. */
  close(): void {
    this.callIfOpen((rust) => rust.close());
    this.#end();
  }

  get #isLoading(): boolean {
    return !this.#rust && !this.#loadError && !this.#hasEnded;
  }

  async #open(options: PeerSocketsOptions): Promise<void> {
    try {
      await loadWasm(options.wasm);
    } catch (error) {
      if (error instanceof PeerSocketsError) this.#failToLoad(error);
      throw error;
    }
    if (options.drive === undefined || options.relays === undefined) await pageIsParsed();
    if (this.#hasEnded) return;
    const glueOptions = glueOptionsOf(options);
    try {
      this.#rust = new Glue(glueOptions, this.#deliver);
    } catch (cause) {
      throw this.#crash(cause);
    }
    const calls = this.#backlog;
    this.#backlog = new Backlog();
    for (const { run } of calls) this.callIfOpen(run);
    // Last, because its listeners may make calls.
    if (this.#hasEnded) return;
    this.#host.onState('connecting');
    if (glueOptions.relays.length === 0) this.#host.onProblem({ code: 'no-relay', reason: 'no relay is named' });
  }

  /** Nothing that was given may be lost in silence: each message that waited is reported. */
  #failToLoad(error: PeerSocketsError): void {
    if (this.#hasEnded) return;
    this.#loadError = error;
    this.#host.onState('failed');
    this.#host.onProblem(problemOf(error));
    const calls = this.#backlog;
    this.#backlog = new Backlog();
    for (const call of calls) call.fail?.(error);
  }

  /** Rust never throws, so what is thrown is a trap, after which nothing in it can be trusted. */
  #run(run: Call['run']): void {
    if (!this.#rust) return;
    try {
      run(this.#rust);
    } catch (cause) {
      this.#crash(cause);
    }
  }

  #crash(cause: unknown): PeerSocketsError {
    const detail = cause instanceof Error ? cause.message : toText(cause);
    const problem: Problem = { code: 'crashed', reason: `the WebAssembly crashed: ${detail}`, cause };
    const receivers = [...this.#receivers.values()];
    this.#end();
    queueMicrotask(() => {
      this.#host.onState('failed');
      this.#host.onProblem(problem);
      for (const receiver of receivers) receiver.abandon();
    });
    return new PeerSocketsError(problem);
  }

  #end(): void {
    this.#hasEnded = true;
    this.#rust = undefined;
    this.#receivers.clear();
    this.#backlog = new Backlog();
  }

  readonly #deliver: Deliver = (kind, handle, peerId, payload) => {
    if (this.#hasEnded) return;
    if (kind === Kind.state) this.#host.onState(payload as State);
    else if (kind === Kind.error) this.#deliverError(handle, peerId, payload as GlueError);
    else this.#receivers.get(handle)?.receive(kind, peerId, payload);
  };

  #deliverError(handle: number, peerId: number, { code, text, url, topic, message }: GlueError): void {
    if (code === 'crashed') {
      this.#crash(new Error(text));
      return;
    }
    const receiver = this.#receivers.get(handle);
    const problem = { code, reason: text, url, topic: topic ?? receiver?.topic, message, peerId: peerId === 0 ? undefined : peerId };
    this.#host.onProblem(problem, receiver?.target);
  }
}

function glueOptionsOf(options: PeerSocketsOptions): GlueOptions {
  const page = currentPage();
  const drive = chooseDrive(options.drive, page);
  return {
    ...(drive === undefined ? {} : { drive }),
    origin: page.origin,
    relays: chooseRelays(options.relays, page),
    isSecure: isSecurePage(page),
  };
}

function problemOf({ code, reason, url, cause }: PeerSocketsError): Problem {
  return { code, reason, url, cause };
}
