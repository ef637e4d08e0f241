import { attempt } from './attempt.js';

/**
 * `String(value)`, or `undefined` where that throws.
 *
 * @internal
 */
export function toText(value: unknown): string | undefined {
  return attempt(() => String(value));
}

/**
 * What was thrown, in words, without a full stop.
 *
 * @internal
 */
export function thrownText(thrown: unknown): string {
  return (attempt(() => String(thrown instanceof Error ? thrown.message : thrown)) ?? 'no reason is given').replace(/\.$/, '');
}
