import type { Page } from './page.js';
import { toText } from './text.js';

/**
 * The relays' absolute URLs. First match wins: the option, the page's `<meta name="peersockets-relay">`, `/relay` of the page's own
 * server. What cannot be made absolute stays as it is: Rust reports it.
 *
 * @internal
 */
export function chooseRelays(option: unknown, page: Page): string[] {
  return namedRelays(option, page).map((text) => resolve(text, page.base));
}

function namedRelays(option: unknown, page: Page): string[] {
  if (Array.isArray(option)) return option.map((entry) => (toText(entry) ?? '').trim());
  if (option !== undefined) return split(toText(option) ?? '');
  const tags = page.meta('peersockets-relay');
  if (tags.length > 0) return tags.flatMap(split);
  // A page that no server sent has no relay beside it.
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
