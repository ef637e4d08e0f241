/** What `topic.send` takes: a string is sent as UTF-8, an `ArrayBuffer` or any view of one as its underlying bytes. */
export type SendableMessage = string | ArrayBufferLike | ArrayBufferView;

/**
 * The longest message in bytes. Rust refuses a longer one too, but would need memory for it to see that.
 *
 * @internal
 */
export const LONGEST = 8_388_607;

const encoder = new TextEncoder();

/**
 * The bytes of a message, not copied where they are bytes already; `undefined` for what is no message.
 *
 * @internal
 */
export function toBytes(message: unknown): Uint8Array | undefined {
  if (typeof message === 'string') return encoder.encode(message);
  try {
    if (ArrayBuffer.isView(message)) return new Uint8Array(message.buffer, message.byteOffset, message.byteLength);
    if (isBuffer(message)) return new Uint8Array(message);
  } catch {
    // Its buffer was transferred away: nothing is there to send.
  }
  return undefined;
}

/**
 * A copy that the page does not change any more; where memory does not suffice for one, the bytes themselves.
 *
 * @internal
 */
export function copyOf(bytes: Uint8Array): Uint8Array {
  try {
    return bytes.slice();
  } catch {
    return bytes;
  }
}

/** Asks the value's internal slot, which buffers of another frame have too, and nothing else can pretend. */
function isBuffer(value: unknown): value is ArrayBufferLike {
  return byteLengths.some((byteLength) => {
    try {
      return typeof byteLength?.call(value) === 'number';
    } catch {
      return false;
    }
  });
}

const byteLengths = [ArrayBuffer, globalThis.SharedArrayBuffer as typeof SharedArrayBuffer | undefined].map(
  (constructor) => constructor && (Object.getOwnPropertyDescriptor(constructor.prototype, 'byteLength')?.get as (() => number) | undefined),
);
