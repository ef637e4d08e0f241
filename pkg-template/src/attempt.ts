/**
 * What an action gives, or `undefined` where it throws: what a page made may throw anywhere.
 *
 * @internal
 */
export function attempt<Value>(action: () => Value): Value | undefined {
  try {
    return action();
  } catch {
    return undefined;
  }
}
