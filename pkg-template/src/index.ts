/**
 * Beaker's `beaker.peersockets` for today's browsers. Importing this module does nothing but define;
 * {@link install} or `new` {@link PeerSockets} starts it.
 *
 * @module
 */

export { PeerSockets } from './peer-sockets.js';
export type { PeerSocketsEventMap, PeerSocketsOptions } from './peer-sockets.js';
export { Topic } from './topic.js';
export type { TopicEventMap } from './topic.js';
export { PeerEvents } from './peer-events.js';
export type { PeerEventsEventMap } from './peer-events.js';
export { PeerEvent, PeerSocketsErrorEvent, StateEvent, TopicMessageEvent } from './events.js';
export { PeerSocketsError } from './errors.js';
export type { ErrorCode, KnownErrorCode } from './errors.js';
export type { ListenerObject, PeerSocketsEventTarget, TypedListener } from './event-target.js';
export type { SendableMessage } from './message.js';
export type { DrivePeerStats, PeerStats, RelayStats, State, Stats } from './stats.js';
export type { WasmSource } from './load.js';
export { install } from './install.js';
export type { InstallOptions } from './install.js';
export { ready } from './ready.js';
export type { ReadyOptions } from './ready.js';
