import { Engine } from './engine.js';
import type { Host } from './engine.js';
import { Warnings } from './errors.js';
import type { Problem } from './errors.js';
import { PeerSocketsEventTarget, isHeard } from './event-target.js';
import { PeerSocketsErrorEvent, StateEvent } from './events.js';
import { followPage } from './lifecycle.js';
import type { LocateWasm, WasmSource } from './load.js';
import { prepare } from './options.js';
import { PeerEvents } from './peer-events.js';
import type { State, Stats } from './stats.js';
import { toText } from './text.js';
import { Topic } from './topic.js';

/**
 * What a {@link PeerSockets} is made of. Everything has a default; a mistake is reported by an `error` event, not thrown.
 *
 * In a worker, which does not see what its page names, `drive` and `relays` have none.
 */
export interface PeerSocketsOptions {
  /**
   * The drive whose visitors meet: `hyper://` and 64 hex digits or 52 z-base-32 letters; path, version and query are ignored.
   *
   * Default: the page's `<meta name="hyperdrive" content="hyper://...">`, else its address if that is a `hyper:` one, else a drive
   * derived from the page's origin. The derived drive is public: anyone can compute it and take part. So whoever names a drive does not get
   * it by mistake: `undefined`, `null` or an empty string given here is `bad-drive`, and nobody is met.
   */
  drive?: string;
  /**
   * The relays to meet at, 3 at most: `ws:`, `wss:`, `http:` or `https:` URLs, absolute or relative to the page, or a host with its
   * port; without a path it is `/relay`. A string may hold several, with spaces or commas between.
   *
   * Default: the page's `<meta name="peersockets-relay" content="wss://...">` (one tag or several), else `/relay` on the page's own
   * server, if no {@link PeerSocketsOptions.peers} are named.
   */
  relays?: string | string[];
  /**
   * Drive peers to connect to without a relay, 8 at most: processes that have the drive and replicate it on a WebSocket there. URLs as
   * for {@link PeerSocketsOptions.relays}.
   *
   * Default: the page's `<meta name="peersockets-peer" content="wss://...">` (one tag or several), else none.
   */
  peers?: string | string[];
  /**
   * Whether peers are connected to directly, by WebRTC, where the network allows it. What is sent goes through the relay first, and
   * directly as soon as there is a way; without one, the relay stays. `false` for people whose IP addresses no
   * other page may learn: whoever is connected to directly sees where packets come from, whatever the browser hides from scripts, and
   * anyone who has the drive key can be that peer. What is sent goes through relays and the drive peers in `peers` only then. Either way
   * a relay sees no message.
   *
   * Default: `true`, unless the page has a `<meta name="peersockets-direct">` that says anything else, such as `false`. In workers and processes, which have no WebRTC, all goes through relays.
   */
  direct?: boolean;
  /**
   * Peers that are connected to directly at once at most, a whole number from 0 to 256: those with whom most is exchanged. The others are reached
   * through the relay.
   *
   * Default: 32.
   */
  directPeers?: number;
  /**
   * The STUN and TURN servers of direct connections, as `RTCPeerConnection` takes them; `[]` for none. One that does not answer delays
   * nothing. A STUN server sees this device's address; a TURN server all that it passes on, encrypted.
   *
   * Default: those that a relay announces, else none.
   */
  iceServers?: IceServer[];
  /**
   * Milliseconds for which what was sent to a peer is kept after it left without a goodbye: one that comes back by then gets it. 0: nothing
   * is kept, and every connection that breaks is a `leave`.
   *
   * Default: 120,000, two minutes.
   */
  sessionTime?: number;
  /**
   * Where the WebAssembly comes from. It is loaded once for all: what the first one names counts.
   *
   * Default: `peersockets.wasm` beside this package's modules; of `beaker-peersockets/slim` there is none.
   */
  wasm?: WasmSource;
}

/** A STUN or TURN server: an `RTCIceServer`, for programs that are compiled without the DOM's types too. */
export interface IceServer {
  /** `stun:`, `turn:` or `turns:` URLs. */
  urls: string | string[];
  /** For TURN. */
  username?: string;
  /** For TURN: the password. */
  credential?: string;
}

/** The events of a {@link PeerSockets}. */
export interface PeerSocketsEventMap {
  /** Something went wrong and no {@link Topic} took it. With no listener here it is one `console.warn` for each code. */
  error: PeerSocketsErrorEvent;
  /** {@link PeerSockets.state} changed. */
  state: StateEvent;
}

/**
 * Beaker's `beaker.peersockets`: messages between the devices that have the same drive open, end-to-end encrypted.
 *
 * It starts to load and to connect when it is made. {@link PeerSockets.join}, {@link PeerSockets.watch} and {@link Topic.send} may be called at once.
 */
export class PeerSockets extends PeerSocketsEventTarget<PeerSocketsEventMap> {
  readonly #engine: Engine;
  readonly #page = new AbortController();
  readonly #warnings = new Warnings();
  #state: State = 'loading';

  /**
   * Makes one, apart from any that is installed: to its peers it is a device of its own. It never throws.
   *
   * @param options - drive, relays and WebAssembly, where the defaults don't fit
   */
  constructor(options?: PeerSocketsOptions | null);
  /** @internal */
  constructor(options: PeerSocketsOptions | null | undefined, locateWasm: LocateWasm);
  /** @internal */
  constructor(options: null, locateWasm: undefined, makeEngine: (host: Host) => Engine);
  constructor(
    options?: PeerSocketsOptions | null,
    locateWasm?: LocateWasm,
    makeEngine = (host: Host) => new Engine(() => prepare(options, locateWasm), host),
  ) {
    super();
    // In Beaker the methods could be taken off the object.
    this.join = this.join.bind(this);
    this.watch = this.watch.bind(this);
    this.#engine = makeEngine({
      onProblem: (problem, target) => this.#report(problem, target),
      onState: (state) => this.#become(state),
    });
    followPage(this.#engine, this.#page.signal);
  }

  /**
   * Joins a topic. Returns at once and never throws; what is wrong comes as an `error` event of the returned {@link Topic}: `bad-topic`,
   * `topic-too-long` (over 255 bytes of UTF-8), `too-many-topics` (over 128), `too-many-handles`.
   *
   * @param topic - its name; anything but a string is turned into one by `String()`
   */
  join(topic: string): Topic {
    const name = toText(topic);
    if (name !== undefined) return Topic.join(this.#engine, name);
    return Topic.refuse(this.#engine, { code: 'bad-topic', reason: 'join() was given a value that can not be turned into a string' });
  }

  /**
   * Watches peers come and go. Returns at once and never throws; a `join` event for each peer that is here already follows, or an `error`
   * event of the returned {@link PeerEvents}: `too-many-handles`.
   */
  watch(): PeerEvents {
    return PeerEvents.watch(this.#engine);
  }

  /** Where it stands; a `state` event tells of each change. */
  get state(): State {
    return this.#state;
  }

  /**
   * Resolves when the WebAssembly is loaded and has all calls made before; there may be no relay and no peer yet. Rejects with a
   * {@link PeerSocketsError}, `code` `bad-options`, `unknown-option`, `bad-drive`, `wasm-load-failed`, `wasm-blocked-by-csp`, `no-wasm` or `crashed`; where a server
   * renders the page with `no-page`, of which no event tells.
   */
  get ready(): Promise<void> {
    return this.#engine.opened;
  }

  /** What is known about relays, peers and traffic, as of now. */
  stats(): Stats {
    let stats: Partial<Stats> = {};
    this.#engine.callIfOpen((rust) => {
      stats = rust.stats() as Stats;
    });
    return { driveDiscoveryKey: '', deviceKey: '', relays: [], drivePeers: [], peers: [], ...stats, state: this.#state };
  }

  /**
   * Leaves for good: says goodbye to every peer, ends every {@link Topic} and {@link PeerEvents}, and closes the connections. What was
   * sent just before still goes out, as far as 64 KiB for each peer; the rest does not, and nothing is said of it.
   *
   * When the page is left it says goodbye by itself, in a `pagehide` listener that is added when it is made. What the page sends in
   * listeners of its own goes out if they were added before that.
   */
  close(): void {
    if (this.#state === 'closed') return;
    this.#page.abort();
    this.#engine.close();
    this.#state = 'closed';
    queueMicrotask(() => this.dispatchEvent(new StateEvent('closed')));
  }

  #become(state: State): void {
    if (state === this.#state || this.#state === 'closed') return;
    this.#state = state;
    if (state === 'failed') this.#page.abort();
    this.dispatchEvent(new StateEvent(state));
  }

  /** First to what it is about, then here, then to the console. */
  #report(problem: Problem, target?: EventTarget): void {
    const event = new PeerSocketsErrorEvent(problem);
    if (target && isHeard(target, event)) return;
    if (!isHeard(this, event)) this.#warnings.warn(problem);
  }
}
