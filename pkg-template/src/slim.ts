/**
 * The same as the main entry, for those who give `wasm` themselves: nothing in it names the WebAssembly's file, so no bundler copies it.
 * Give `wasm` to {@link install}, {@link ready} or `new` {@link PeerSockets}, whichever comes first; without it there is an `error`
 * event, `no-wasm`.
 *
 * @module
 */

import { installMade } from './install.js';
import type { InstallOptions } from './install.js';
import { PeerSockets } from './peer-sockets.js';
import { loadAhead } from './ready.js';
import type { ReadyOptions } from './ready.js';

export { PeerSockets } from './peer-sockets.js';
export type { IceServer, PeerSocketsEventMap, PeerSocketsOptions } from './peer-sockets.js';
export { Topic } from './topic.js';
export type { TopicEventMap } from './topic.js';
export { PeerEvents } from './peer-events.js';
export type { PeerEventsEventMap } from './peer-events.js';
export { DrainEvent, PathEvent, PeerEvent, PeerSocketsErrorEvent, StateEvent, TopicMessageEvent } from './events.js';
export type { MessageBytes } from './events.js';
export { PeerSocketsError } from './errors.js';
export type { ErrorCode, KnownErrorCode } from './errors.js';
export type { ListenerObject, PeerSocketsEventTarget, TypedListener } from './event-target.js';
export type { SendableMessage } from './message.js';
export type { DrivePeerStats, Path, PeerStats, RelayStats, State, Stats } from './stats.js';
export type { WasmSource } from './load.js';
export type { InstallOptions } from './install.js';
export type { ReadyOptions } from './ready.js';

/**
 * As `install()` of the main entry, but it does not find the WebAssembly by itself.
 *
 * @param options - among them `wasm`, unless it is loaded already
 * @returns what is `beaker.peersockets` from now on
 */
export function install(options?: InstallOptions | null): PeerSockets {
  return installMade((given) => new PeerSockets(given), options);
}

/**
 * As `ready()` of the main entry, but it does not find the WebAssembly by itself.
 *
 * @param options - among them `wasm`, unless it is loaded already
 * @returns a promise that resolves when it is loaded, and rejects with a {@link PeerSocketsError} whose `code` is `no-wasm` or one of
 * those of the main entry
 */
export function ready(options?: ReadyOptions | null): Promise<void> {
  return loadAhead(options);
}
