import { isServer } from './page.js';

/** Every error there is, and what whoever meets it in a page or worker can do. */
const REMEDIES = {
  // What the page asked for
  'bad-options': 'Correct the value that is named, or leave it out where the default will do; nobody is connected to meanwhile.',
  'unknown-option': 'Correct the name; a page with a wrong one connects to nobody.',
  'bad-drive': 'Name the drive as hyper:// and 64 hex digits or 52 z-base-32 letters, in install({ drive }) or <meta name="hyperdrive">.',
  'bad-relay-url': 'Name at most 3 relays, each by a ws:// or wss:// URL, in install({ relays }) or <meta name="peersockets-relay">.',
  'bad-peer-url': 'Name at most 8 drive peers, each by a ws:// or wss:// URL, in install({ peers }) or <meta name="peersockets-peer">.',
  'bad-topic': 'Give join() a string, or a value that String() can turn into one.',
  'bad-message': 'Give send() a string, an ArrayBuffer or a view of one, such as a Uint8Array; JSON.stringify() makes a string of anything else.',
  'message-too-large': 'Split the message: 8,388,607 bytes is the most that one can have.',
  'topic-too-long': 'Use a shorter topic: 255 bytes of UTF-8 is the most.',
  'too-many-topics': 'Close topics that are no longer needed: 128 can be joined at once.',
  'too-many-handles': 'Close what join() and watch() returned when it is no longer needed.',
  'already-installed': 'Call install() with them before anything else does, or pass force: true.',
  'cannot-install': 'Use the object that install() returns instead of the global one.',
  // Pressure and loss
  'queue-full': 'Wait before sending more; the event carries the message and its peerId, to send it again.',
  'session-dropped': 'That peer had left. If it comes back, send again what it still needs; send less while peers are away.',
  'message-lost': 'Ask the peer to send it again, in smaller messages.',
  'peer-misbehaved': 'Nothing here needs to be done: its connection was closed. Its user should update its software.',
  // The relay
  'mixed-content': 'An https page may only use wss:// relays and peers: put the relay or peer behind TLS.',
  'socket-blocked-by-csp': "Add the URL to connect-src in the page's Content-Security-Policy; ws: and wss: there allow all.",
  'no-relay': 'Start a peersockets-relay, or name one that can be reached in install({ relays }) or <meta name="peersockets-relay">; wss:// needs --tls-cert, or a proxy with TLS in front of it, and a dev server has to pass /relay on, with ws: true. One that is named is tried again by itself.',
  'no-websocket': 'Let the proxy or dev server in front of the relay pass on the Upgrade (Vite: ws: true), or allow the page to use the local network, if the browser asks. It is tried again by itself.',
  'not-a-relay': 'Check the URL: something answers there, but it is no peersockets-relay, whose path is /relay if nobody changed it. A dev server has to pass /relay on, with ws: true.',
  'unauthorized': 'Ask the operator of the relay to allow the origin of this page, or for a token, and name the relay as wss://host/relay?token=TOKEN. It is tried again by itself.',
  'room-full': 'Too many devices have this drive open on that relay. It is tried again by itself; another relay has another room.',
  'address-room-full': 'Too many devices from one address have this drive open on that relay. It is tried again by itself.',
  'too-many-connections': 'The relay is full. It is tried again by itself; its operator can raise its limit.',
  'too-many-from-address': 'The relay has too many connections from this address. It is tried again by itself; its operator can raise its limit.',
  'too-fast': 'Open fewer pages at once from this address. The relay is tried again by itself; its operator can raise its limit.',
  'slow-reader': 'This device or its network is too slow for what it is sent. The relay is tried again by itself.',
  'shutting-down': 'The relay is being stopped. It is tried again by itself.',
  'join-timeout': 'The connection to the relay is too slow. It is tried again by itself.',
  'refused': 'The relay says why. It is tried again by itself; its operator knows more.',
  'bad-frame': 'The relay and this package do not understand each other: update both to versions that fit.',
  // The drive peer
  'no-peer': 'Start the process that has the drive, or check the URL. It is tried again by itself.',
  'not-a-peer': 'Check the URL: what answers there does not replicate a drive on a WebSocket. A relay is named in relays.',
  'no-drive': 'Open the drive in that process, or name the drive that it has. It is tried again by itself.',
  'bad-stream': 'Give handle() a Hyperswarm connection, or what drive.replicate() returns.',
  // The WebAssembly
  'wasm-load-failed': "The page must be able to fetch the package's dist/peersockets.wasm (CORS, connect-src): copy it there, or elsewhere and write install({ wasm: '/peersockets.wasm' }). With Vite before 8 write optimizeDeps: { exclude: ['beaker-peersockets'] } in vite.config.js.",
  'wasm-blocked-by-csp': "Add 'wasm-unsafe-eval' to script-src in the page's Content-Security-Policy.",
  'no-wasm': "Write install({ wasm: '/peersockets.wasm' }), or import beaker-peersockets instead of beaker-peersockets/slim.",
  'no-page': 'On a server nothing needs to be done: the same code connects in the browser. Elsewhere pass the bytes: install({ wasm: bytes }).',
  'crashed': 'Reload the page. This is a bug in beaker-peersockets: please report it.',
} as const;

/** The same where it reads otherwise in a process, which has no page. */
const REMEDIES_OF_PROCESSES: Partial<Record<KnownErrorCode, string>> = {
  'bad-options': 'Pass a plain object, such as { relays }, or nothing. A keyPair is an object whose secretKey is a Uint8Array of 64 bytes.',
  'bad-drive': 'Give connect() a Hyperdrive that can be opened. By name, a drive is hyper:// and 64 hex digits or 52 z-base-32 letters.',
  'bad-relay-url': 'Name at most 3 relays, each by a ws:// or wss:// URL, in the option relays.',
  'bad-peer-url': 'Name at most 8 drive peers, each by a ws:// or wss:// URL, in the option peers.',
  'no-relay': 'Start a peersockets-relay, or name one that can be reached in the option relays; wss:// needs --tls-cert, or a proxy with TLS in front of it. One that is named is tried again by itself.',
  'no-websocket': 'Let the proxy in front of the relay pass on the Upgrade. It is tried again by itself.',
  'not-a-relay': 'Check the URL: something answers there, but it is no peersockets-relay, whose path is /relay if nobody changed it.',
  'wasm-load-failed': "Name the package's WebAssembly in the option wasm, by its path, its file: or http: URL, or its bytes; for connect() it is dist/peersockets-host.wasm, beside the module, which a bundler has to copy too.",
  'crashed': 'Restart the process. This is a bug in beaker-peersockets: please report it.',
};

/** The codes of this version of the package. */
export type KnownErrorCode = keyof typeof REMEDIES;

/** What kind of error it is: stable, for programs. A WebAssembly of another version may bring others. */
export type ErrorCode = KnownErrorCode | (string & {});

/**
 * What is known about an error.
 *
 * @internal
 */
export interface Problem {
  code: ErrorCode;
  /** What happened, without a full stop. */
  reason: string;
  url?: string | undefined;
  topic?: string | undefined;
  peerId?: number | undefined;
  /** The message that was not sent. */
  message?: unknown;
  cause?: unknown;
}

/** An error of this package. Its `message` says what happened, where, and what to do. */
export class PeerSocketsError extends Error {
  /** Always `"PeerSocketsError"`. */
  override readonly name = 'PeerSocketsError';
  /** What kind of error it is: stable, for programs. */
  readonly code: ErrorCode;
  /** What happened, for people; without a full stop. */
  readonly reason: string;
  /** What to do about it, in one or two sentences. */
  readonly remedy: string;
  /** The URL of the relay or file it is about, if it is about one. */
  readonly url: string | undefined;

  /** @internal */
  constructor(problem: Problem) {
    super(describe(problem), problem.cause === undefined ? undefined : { cause: problem.cause });
    this.code = problem.code;
    this.reason = problem.reason;
    this.remedy = remedyFor(problem.code);
    this.url = problem.url;
  }
}

/**
 * What to do about an error.
 *
 * @internal
 */
export function remedyFor(code: ErrorCode): string {
  if (isKnown(code)) return (isServer() && REMEDIES_OF_PROCESSES[code]) || REMEDIES[code];
  return 'Update beaker-peersockets as a whole: its WebAssembly is of another version than the rest.';
}

/**
 * The console's part in errors that nobody listens to: a line for each code, once.
 *
 * @internal
 */
export class Warnings {
  // Unknown codes count as one, so that they cannot fill the console or this set.
  readonly #codes = new Set<KnownErrorCode | 'unknown'>();

  warn(problem: Problem): void {
    const code = isKnown(problem.code) ? problem.code : 'unknown';
    if (this.#codes.has(code)) return;
    this.#codes.add(code);
    console.warn(`[beaker-peersockets] ${problem.code}: ${describe(problem)}`);
  }
}

/** What happened, where, and what to do. */
function describe({ code, reason, url }: Problem): string {
  const where = url && !reason.includes(url) ? ` (${url})` : '';
  return `${reason}${where}. ${remedyFor(code)}`;
}

function isKnown(code: ErrorCode): code is KnownErrorCode {
  return Object.hasOwn(REMEDIES, code);
}
