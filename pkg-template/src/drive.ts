import type { Page } from './page.js';
import { toText } from './text.js';

/**
 * The text that names the drive, unread: Rust reads it and reports what is wrong with it. First match wins: the option, the
 * page's `<meta name="hyperdrive">`, a `hyper:` address. Without any, `undefined`: the drive is derived from the origin.
 *
 * @internal
 */
export function chooseDrive(option: unknown, page: Page): string | undefined {
  // An empty text is a mistake to report, not a wish to meet everybody of this origin.
  if (option !== undefined) return toText(option) ?? 'a value that is no text';
  const [named] = page.meta('hyperdrive');
  if (named !== undefined) return named;
  return /^hyper:/i.test(page.address) ? page.address : undefined;
}
