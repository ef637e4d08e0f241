import { attempt } from './attempt.js';
import type { Problem } from './errors.js';

/** What `topic.send` takes: a string is sent as UTF-8, an `ArrayBuffer` or any view of one as its underlying bytes. */
export type SendableMessage = string | ArrayBufferLike | ArrayBufferView;

/**
 * The longest message in bytes. Rust refuses a longer one too, but would need memory for it to see that.
 *
 * @internal
 */
export const LONGEST = 8_388_607;

/**
 * A message on its way.
 *
 * @internal
 */
export interface Message {
  /** What was given to `send`. */
  readonly given: unknown;
  /** Its bytes; the page may change them unless they were copied. */
  readonly bytes: Uint8Array;
}

/**
 * The bytes of what was given to `send`, not copied where they are bytes already; or why there are none. Never throws, nor believes
 * what a page put over the properties of a view or buffer.
 *
 * @internal
 */
export function toBytes(given: unknown): Uint8Array | Problem {
  if (typeof given === 'string') return encode(given);
  const bytes = attempt(() => viewedBytes(given) ?? bufferBytes(given));
  return bytes ?? { code: 'bad-message', reason: `send() was given ${kindOf(given)}`, message: given };
}

/** UTF-8 has at least as many bytes as a string has characters, so that the longest strings need not be encoded to be refused. */
function encode(text: string): Uint8Array | Problem {
  if (text.length > LONGEST) {
    return { code: 'message-too-large', reason: `send() was given a string of ${text.length} characters`, message: text };
  }
  return attempt(() => encoder.encode(text)) ?? { code: 'queue-full', reason: 'there is no memory left to encode the message', message: text };
}

const encoder = new TextEncoder();

/** The bytes that a view shows; throws if they are not there, `undefined` if it is no view. */
function viewedBytes(value: unknown): Uint8Array | undefined {
  if (!ArrayBuffer.isView(value)) return undefined;
  const { buffer, byteOffset, byteLength } = gettersOf(value);
  // Outside its buffer a DataView throws of itself; a typed array says that its length is 0, and only its methods throw.
  if (isTypedArray(value)) at.call(value, 0);
  return new Uint8Array(buffer.call(value), byteOffset.call(value), byteLength.call(value));
}

/** The bytes of a buffer; throws if it was transferred away, `undefined` if it is no buffer. */
function bufferBytes(value: unknown): Uint8Array | undefined {
  return isBuffer(value) ? new Uint8Array(value) : undefined;
}

function isTypedArray(view: ArrayBufferView): boolean {
  return typedArrayName.call(view) !== undefined;
}

function isBuffer(value: unknown): value is ArrayBufferLike {
  return bufferLengths.some((byteLength) => attempt(() => byteLength?.call(value)) !== undefined);
}

function gettersOf(view: ArrayBufferView): ViewGetters {
  return isTypedArray(view) ? typedArrayGetters : dataViewGetters;
}

// The getters of the prototypes read a value's internal slots: those of another frame have them too, and nothing else can pretend to.

interface ViewGetters {
  buffer: Getter<ArrayBufferLike>;
  byteOffset: Getter<number>;
  byteLength: Getter<number>;
}

type Getter<Value> = (this: unknown) => Value;

const typedArray = Object.getPrototypeOf(Uint8Array.prototype) as Uint8Array;
const { at } = typedArray;
const typedArrayName = getter<string | undefined>(typedArray, Symbol.toStringTag);
const typedArrayGetters = viewGetters(typedArray);
const dataViewGetters = viewGetters(DataView.prototype);
const bufferLengths = [ArrayBuffer, globalThis.SharedArrayBuffer as typeof SharedArrayBuffer | undefined].map(
  (constructor) => constructor && getter<number>(constructor.prototype, 'byteLength'),
);

function viewGetters(prototype: object): ViewGetters {
  return { buffer: getter(prototype, 'buffer'), byteOffset: getter(prototype, 'byteOffset'), byteLength: getter(prototype, 'byteLength') };
}

function getter<Value>(prototype: object, name: PropertyKey): Getter<Value> {
  return Object.getOwnPropertyDescriptor(prototype, name)?.get as Getter<Value>;
}

/** Names the kind of a value that has no bytes, in an error's text. */
function kindOf(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (ArrayBuffer.isView(value)) {
    const isThere = attempt(() => new Uint8Array(gettersOf(value).buffer.call(value))) !== undefined;
    return isThere ? 'a view outside its buffer' : 'a view of a buffer that was transferred away';
  }
  if (isBuffer(value)) return 'a buffer that was transferred away';
  // Asked of a proxy that was revoked, this throws.
  if (attempt(() => Array.isArray(value)) === true) return 'an array';
  const type = typeof value;
  return type === 'object' ? 'an object' : `a ${type}`;
}
