const LARGEST = 0xffff_ffff;

/**
 * The peer id that a caller means: a number, or its decimal digits as Beaker took them too; `undefined` for what names no peer.
 *
 * @internal
 */
export function parsePeerId(value: unknown): number | undefined {
  const number = typeof value === 'string' && /^[1-9][0-9]*$/.test(value) ? Number(value) : value;
  return typeof number === 'number' && Number.isInteger(number) && number >= 1 && number <= LARGEST ? number : undefined;
}
