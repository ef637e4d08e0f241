// Bytes, as people read them.

/** Bytes of a message that its preview shows at most. */
const SHOWN = { text: 96, hex: 96 };

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true });
const lenientDecoder = new TextDecoder('utf-8');

/** The UTF-8 of a text. */
export function encodeText(text) {
  return encoder.encode(text);
}

/** The text that the bytes are, or `undefined` if they are not UTF-8 or hold control characters. */
export function decodeText(bytes) {
  try {
    const text = decoder.decode(bytes);
    return /[\0-\x08\x0b\x0c\x0e-\x1f\x7f]/.test(text) ? undefined : text;
  } catch {
    return undefined;
  }
}

/** The bytes that hex digits stand for, spaces ignored; `undefined` if they are none. */
export function parseHex(text) {
  const digits = text.replace(/\s+/g, '');
  if (digits.length % 2 !== 0 || /[^0-9a-f]/i.test(digits)) return undefined;
  return Uint8Array.from(digits.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

/** Two hex digits for each byte, a space between bytes. */
export function formatHex(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(' ');
}

/** Lowercase hex digits without spaces. */
export function hexOf(bytes) {
  return formatHex(bytes).replaceAll(' ', '');
}

/** The start of a message, as text where it is text: `{ kind, text, isCut }`, the kind being `text` or `hex`. */
export function preview(bytes, shown = SHOWN) {
  const start = bytes.subarray(0, shown.text);
  // A cut may split the last character, which then is no reason to call it bytes.
  const text = start.length < bytes.length ? decodeCut(start) : decodeText(start);
  const kind = text === undefined ? 'hex' : 'text';
  const isCut = bytes.length > shown[kind];
  return { kind, isCut, text: (text ?? formatHex(bytes.subarray(0, shown.hex))) + (isCut ? '…' : '') };
}

function decodeCut(bytes) {
  const text = lenientDecoder.decode(bytes).replace(/\ufffd$/, '');
  return text.includes('\ufffd') ? undefined : decodeText(encoder.encode(text));
}

/** `812 B`, `3.4 kB`, `8.0 MB`. */
export function formatSize(bytes) {
  if (bytes < 1000) return `${bytes} B`;
  return bytes < 1_000_000 ? `${(bytes / 1000).toFixed(1)} kB` : `${(bytes / 1_000_000).toFixed(1)} MB`;
}
