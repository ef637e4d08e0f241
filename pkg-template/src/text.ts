/**
 * `String(value)`, or `undefined` where that throws.
 *
 * @internal
 */
export function toText(value: unknown): string | undefined {
  try {
    return String(value);
  } catch {
    return undefined;
  }
}
