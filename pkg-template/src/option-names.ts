import { attempt } from './attempt.js';
import type { Problem } from './errors.js';
import type { InstallOptions } from './install.js';

/** Every option of a page; the compiler holds this list to the types. */
const PAGE_OPTIONS: Record<keyof InstallOptions, true> = { drive: true, relays: true, peers: true, wasm: true, force: true };
/** Wrong names that are reported at most, and their letters that are read. */
const REPORTED = 8;
const READ = 40;

/**
 * A problem for each option that does not exist: what is misspelt would be ignored in silence otherwise.
 *
 * @internal
 */
export function misnamedOptions(options: unknown, known: object = PAGE_OPTIONS): Problem[] {
  const given = attempt(() => Object.keys(options ?? {})) ?? [];
  return given
    .filter((name) => !Object.hasOwn(known, name))
    .slice(0, REPORTED)
    .map((name) => ({ code: 'unknown-option', reason: `there is no option ${JSON.stringify(name.slice(0, READ))}` }));
}
