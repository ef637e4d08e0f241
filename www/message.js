// What the chat sends: JSON text, { "text": "...", "name": "..." }, both optional. Whatever else comes is shown as what it is.

import { decodeText, encodeText } from './bytes.js';

/** Characters of a message's text at most. */
const TEXT = 2000;
/** Characters of a nickname at most. */
const NAME = 24;
/** Bytes beyond which a message is not read. */
const BYTES = 65_536;

/** The bytes of a message, without what is `undefined` in it. */
export function writeMessage(message) {
  return encodeText(JSON.stringify(message));
}

/**
 * What a stranger's bytes say: `{ text, name }` as the chat writes it, `{ foreign: text }` for other text, or nothing: then they are
 * just bytes.
 */
export function readMessage(bytes) {
  const content = bytes.length > BYTES ? undefined : decodeText(bytes);
  if (content === undefined) return {};
  const message = parse(content);
  const { text, name } = message ?? {};
  const isChat = typeof text === 'string' || (text === undefined && typeof name === 'string');
  if (!isChat) return { foreign: cut(content, TEXT) };
  return { text: text === undefined ? undefined : cut(text, TEXT), name: typeof name === 'string' ? tidyName(name) : undefined };
}

/** A nickname in one line, without characters that cannot be seen, and not too long. */
export function tidyName(name) {
  const line = name.slice(0, 8 * NAME).replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\s]+/gu, ' ').trim();
  return Array.from(line).slice(0, NAME).join('').trim();
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function cut(text, most) {
  return text.length > most ? `${text.slice(0, most)}…` : text;
}
