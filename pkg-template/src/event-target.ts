/** An object that listens. */
export interface ListenerObject<E extends Event> {
  /** Called with each event. */
  handleEvent(event: E): unknown;
}

/** A function or an object, as the DOM takes them; `null` does nothing. */
export type TypedListener<E extends Event> = ((event: E) => unknown) | ListenerObject<E> | null;

/** The DOM's `EventTarget` with the types of its events: `EventMap` maps each event's name to its class. */
export class PeerSocketsEventTarget<EventMap extends object> extends EventTarget {
  /**
   * Adds a listener, exactly as the DOM does: `once`, `signal` and `handleEvent` work, and a listener that throws is reported to
   * the page and stops no other.
   *
   * @param type - the event's name; any name is accepted
   * @param listener - called with each such event
   * @param options - as for any DOM event target
   */
  override addEventListener<Type extends keyof EventMap & string>(
    type: Type,
    listener: TypedListener<Extract<EventMap[Type], Event>>,
    options?: AddEventListenerOptions | boolean,
  ): void;
  override addEventListener(type: string, listener: TypedListener<Event>, options?: AddEventListenerOptions | boolean): void;
  override addEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: AddEventListenerOptions | boolean,
  ): void {
    super.addEventListener(type, type === 'error' ? hearing(listener) : listener, options);
  }

  /**
   * Removes a listener that was added with the same `type`, `listener` and `capture`.
   *
   * @param type - the event's name
   * @param listener - the very function or object that was added
   * @param options - only `capture` matters, as for any DOM event target
   */
  override removeEventListener<Type extends keyof EventMap & string>(
    type: Type,
    listener: TypedListener<Extract<EventMap[Type], Event>>,
    options?: EventListenerOptions | boolean,
  ): void;
  override removeEventListener(type: string, listener: TypedListener<Event>, options?: EventListenerOptions | boolean): void;
  override removeEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: EventListenerOptions | boolean,
  ): void {
    super.removeEventListener(type, type === 'error' ? hearing(listener) : listener, options);
  }
}

/**
 * Dispatches an `error` event and tells whether anybody listened, which the DOM does not say.
 *
 * @internal
 */
export function isHeard(target: EventTarget, event: Event): boolean {
  target.dispatchEvent(event);
  return heard.has(event);
}

const heard = new WeakSet<Event>();
const hearers = new WeakMap<EventListenerOrEventListenerObject, EventListener>();

/**
 * The listener that notes that an event was heard, and passes it on. It is one and the same for the same listener, so the DOM
 * itself goes on to know duplicates, `once`, `signal` and removal.
 */
function hearing(listener: EventListenerOrEventListenerObject | null): EventListenerOrEventListenerObject | null {
  if (listener === null || (typeof listener !== 'function' && typeof listener !== 'object')) return listener;
  let hearer = hearers.get(listener);
  if (!hearer) {
    hearer = (event) => {
      heard.add(event);
      if (typeof listener === 'function') return listener.call(event.currentTarget, event);
      return listener.handleEvent(event);
    };
    hearers.set(listener, hearer);
    // Node removes what was added with a signal by the method above: what it passes is wrapped already.
    hearers.set(hearer, hearer);
  }
  return hearer;
}
