import { tooManyHandles } from './backlog.js';
import type { Call } from './backlog.js';
import type { Engine, Receiver } from './engine.js';
import { PeerSocketsEventTarget } from './event-target.js';
import { PathEvent, PeerEvent } from './events.js';
import type { PeerSocketsErrorEvent } from './events.js';
import { Kind } from './seam.js';
import type { PeerEvents as Glue } from './wasm/glue.js';

/** The events of {@link PeerEvents}. */
export interface PeerEventsEventMap {
  /** A peer is here: it came, or was here when `watch()` was called. */
  join: PeerEvent;
  /** A peer left: once for each `join`. */
  leave: PeerEvent;
  /** How messages to a peer travel: behind its `join`, and at each change until its `leave`. */
  path: PathEvent;
  /** These events could not be watched. With no listener here it goes on to the `PeerSockets`. */
  error: PeerSocketsErrorEvent;
}

/** The peers of the drive as they come and go, made by {@link PeerSockets.watch}. */
export class PeerEvents extends PeerSocketsEventTarget<PeerEventsEventMap> {
  readonly #engine: Engine;
  readonly #opening: Call;
  readonly #peers = new Set<number>();
  #rust: Glue | undefined;
  #isClosed = false;

  private constructor(engine: Engine) {
    super();
    this.#engine = engine;
    this.#opening = {
      run: (rust) => {
        this.#rust = rust.watch();
        engine.connect(this.#receiver(this.#rust));
      },
    };
    // In Beaker the method could be taken off the object.
    this.close = this.close.bind(this);
  }

  /** @internal */
  static watch(engine: Engine): PeerEvents {
    const peerEvents = new PeerEvents(engine);
    // Not there once it is closed: its error goes on to the PeerSockets.
    if (!engine.openHandle(peerEvents.#opening)) engine.report(tooManyHandles, () => (peerEvents.#isClosed ? undefined : peerEvents));
    return peerEvents;
  }

  /** The ids of the peers that are here now, in the order of their `join` events; empty after {@link PeerEvents.close}. */
  get peers(): number[] {
    return [...this.#peers];
  }

  /** Ends this object: no event comes any more. Peers stay connected. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#peers.clear();
    this.#engine.closeHandle(this.#opening, {
      run: () => {
        if (this.#rust) this.#engine.disconnect(this.#rust);
        this.#rust = undefined;
      },
    });
  }

  #join(peerId: number): void {
    this.#peers.add(peerId);
    this.dispatchEvent(new PeerEvent('join', peerId));
  }

  #leave(peerId: number): void {
    this.#peers.delete(peerId);
    this.dispatchEvent(new PeerEvent('leave', peerId));
  }

  #receiver(rust: Glue): Receiver {
    return {
      target: this,
      rust,
      receive: (kind, peerId, payload) => {
        if (kind === Kind.join) this.#join(peerId);
        else if (kind === Kind.leave) this.#leave(peerId);
        else if (kind === Kind.path) this.dispatchEvent(new PathEvent(peerId, payload as PathEvent));
      },
      abandon: () => {
        for (const peerId of this.#peers) this.#leave(peerId);
      },
    };
  }
}
