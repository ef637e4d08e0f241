import type { Page } from './page.js';
import { toText } from './text.js';

/**
 * The relays' absolute URLs. First match wins: the option, the page's `<meta name="peersockets-relay">`, and, for a page that names no
 * drive peers either, `/relay` of its own server. What cannot be made absolute stays as it is: Rust reports it.
 *
 * @internal
 */
export function chooseRelays(option: unknown, page: Page, hasPeers: boolean): string[] {
  const named = listed(option, 'peersockets-relay', page);
  return (named ?? (hasPeers ? [] : ownRelay(page))).map((text) => resolve(text, page.base));
}

/**
 * The drive peers' absolute URLs: the option, else the page's `<meta name="peersockets-peer">`.
 *
 * @internal
 */
export function choosePeers(option: unknown, page: Page): string[] {
  return (listed(option, 'peersockets-peer', page) ?? []).map((text) => resolve(text, page.base));
}

/** What the option or the page's tags name; `undefined` if neither does. */
function listed(option: unknown, tag: string, page: Page): string[] | undefined {
  if (Array.isArray(option)) return option.map((entry) => (toText(entry) ?? '').trim());
  if (option !== undefined) return split(toText(option) ?? '');
  const tags = page.meta(tag);
  return tags.length > 0 ? tags.flatMap(split) : undefined;
}

/** A page that no server sent has no relay beside it. */
function ownRelay(page: Page): string[] {
  const home = page.origin === 'null' ? page.base : page.origin;
  return /^https?:/.test(home) ? [new URL('/relay', home).href] : [];
}

/** A list in one text: URLs between spaces or commas. */
function split(text: string): string[] {
  return text.split(/[\s,]+/).filter((entry) => entry !== '');
}

/** `http:` becomes `ws:`, and `https:` becomes `wss:`. */
function resolve(text: string, base: string): string {
  if (text === '') return text;
  try {
    return new URL(text, base || undefined).href.replace(/^http(?=s?:)/, 'ws');
  } catch {
    return text;
  }
}
