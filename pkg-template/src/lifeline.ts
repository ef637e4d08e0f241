import { PeerConnection } from './peer-connection.js';
import type { Tell } from './peer-connection.js';
import type { IceServer } from './peer-sockets.js';

/**
 * What Rust has outside of itself: its sockets, direct connections, timers and questions over HTTP, and every step that they make it
 * take. After a trap nothing in Rust can be trusted to let go of them, so TypeScript holds them too.
 */
export class Lifeline {
  readonly #onTrap: (cause: unknown) => void;
  readonly #sockets = new Set<WebSocket>();
  readonly #connections = new Set<PeerConnection>();
  readonly #timers = new Set<ReturnType<typeof setTimeout>>();
  readonly #controllers = new Set<AbortController>();
  /** The STUN and TURN servers of direct connections, where they are not left to the relays. */
  iceServers: IceServer[] | undefined;
  #isCut = false;

  /** `onTrap` is told what a step threw: Rust never throws, so that is a trap. */
  constructor(onTrap: (cause: unknown) => void) {
    this.#onTrap = onTrap;
  }

  /** Whether Rust is to be called no more. */
  get isCut(): boolean {
    return this.#isCut;
  }

  /** Closes and stops everything, and lets nothing reach Rust any more. */
  cut(): void {
    this.#isCut = true;
    for (const socket of this.#sockets) socket.close();
    for (const connection of this.#connections) connection.cut();
    for (const timer of this.#timers) clearTimeout(timer);
    for (const controller of this.#controllers) controller.abort();
  }

  // What Rust calls.

  /** Takes a step that something outside brought about. */
  run(step: () => void): void {
    if (this.#isCut) return;
    try {
      step();
    } catch (cause) {
      this.#onTrap(cause);
    }
  }

  /** Holds a socket until it is closed. To be told before anybody listens to it. */
  keepSocket(socket: WebSocket): void {
    this.#sockets.add(socket);
    for (const type of ['open', 'message', 'close']) {
      socket.addEventListener(type, (event) => {
        if (type === 'close') this.#sockets.delete(socket);
        if (this.#isCut) event.stopImmediatePropagation();
      });
    }
  }

  /** Begins a direct connection. Of each ICE server that a relay announces there are three texts: its URL, a username, a credential. */
  newPeerConnection(announced: string[], tell: Tell): PeerConnection {
    const connection = new PeerConnection(this, this.iceServers ?? serversOf(announced), (...told) => this.run(() => tell(...told)));
    this.#connections.add(connection);
    return connection;
  }

  /** Holds a direct connection no longer: it is closed. */
  release(connection: PeerConnection): void {
    this.#connections.delete(connection);
  }

  /** What ends a question over HTTP; held until it has. */
  newAbortController(): AbortController {
    const controller = new AbortController();
    this.#controllers.add(controller);
    controller.signal.addEventListener('abort', () => this.#controllers.delete(controller));
    return controller;
  }

  /** As the global one. */
  setTimeout(callback: () => void, milliseconds: number): ReturnType<typeof setTimeout> {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      callback();
    }, milliseconds);
    this.#timers.add(timer);
    return timer;
  }

  /** As the global one. */
  clearTimeout(timer: ReturnType<typeof setTimeout>): void {
    this.#timers.delete(timer);
    clearTimeout(timer);
  }
}

function serversOf(texts: string[]): IceServer[] {
  return texts.flatMap((urls, index) => (index % 3 ? [] : [{ urls, username: texts[index + 1] ?? '', credential: texts[index + 2] ?? '' }]));
}
