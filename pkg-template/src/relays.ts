import type { Page } from './page.js';
import { toText } from './text.js';

/** Where a relay is on its server. */
const PATH = '/relay';
/** A host with its port, such as `127.0.0.1:8787`, which a URL would take for a path or a scheme. */
const HOST = /^(?:[^\s/?#:@[\]]+|\[[\da-f:.]+\]):\d+(?![^/?#])/i;
/** A URL that ends with its host. */
const WITHOUT_PATH = /^(?:(?:ws|http)s?:)?\/\/[^/?#\\]+$/i;

/**
 * The relays' absolute URLs. First match wins: the option, the page's `<meta name="peersockets-relay">`, and, for a page that names no
 * drive peers either, `/relay` of its own server. A worker has the option only. What cannot be made absolute stays as it is: Rust
 * reports it.
 *
 * @internal
 */
export function chooseRelays(option: unknown, page: Page, hasPeers: boolean): string[] {
  const named = listed(option, 'peersockets-relay', page);
  return (named ?? (hasPeers ? [] : ownRelay(page))).map((text) => resolve(text, page.base, PATH));
}

/**
 * The drive peers' absolute URLs: the option, else the page's `<meta name="peersockets-peer">`.
 *
 * @internal
 */
export function choosePeers(option: unknown, page: Page): string[] {
  return (listed(option, 'peersockets-peer', page) ?? []).map((text) => resolve(text, page.base, '/'));
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
  if (!page.hasDocument) return [];
  const home = page.origin === 'null' ? page.base : page.origin;
  return /^https?:/.test(home) ? [new URL(PATH, home).href] : [];
}

/** A list in one text: URLs between spaces or commas. */
function split(text: string): string[] {
  return text.split(/[\s,]+/).filter((entry) => entry !== '');
}

/** `http:` becomes `ws:`, `https:` becomes `wss:`, a host alone gets the page's scheme, and where no path is given it is `path`. */
function resolve(text: string, base: string, path: string): string {
  if (text === '') return text;
  const named = HOST.test(text) ? `${base.startsWith('https:') ? 'wss' : 'ws'}://${text}` : text;
  try {
    const url = new URL(named, base || undefined);
    if (WITHOUT_PATH.test(named)) url.pathname = path;
    return url.href.replace(/^http(?=s?:)/, 'ws');
  } catch {
    return text;
  }
}
