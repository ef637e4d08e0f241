import { attempt } from './attempt.js';
import type { Problem } from './errors.js';
import type { InstallOptions } from './install.js';

/** Every option of a page; the compiler holds this list to the types. */
const PAGE_OPTIONS: Record<keyof InstallOptions, true> = {
  drive: true, relays: true, peers: true, direct: true, directPeers: true, iceServers: true, sessionTime: true, wasm: true, force: true,
};
/** Wrong names that are told at most, and their letters that are read. */
const TOLD = 8;
const READ = 40;

/**
 * The problem that options were given which do not exist, if so. A page must not go on then: without its misspelt `drive` it would take
 * part where anyone can.
 *
 * @internal
 */
export function misnamedOptions(options: unknown, known: object = PAGE_OPTIONS): Problem[] {
  const given = attempt(() => Object.keys(options ?? {})) ?? [];
  const wrong = given.filter((name) => !Object.hasOwn(known, name)).slice(0, TOLD).map((name) => JSON.stringify(name.slice(0, READ)));
  if (wrong.length === 0) return [];
  return [{ code: 'unknown-option', reason: `there is no option ${wrong.join(', ')}, only ${Object.keys(known).join(', ')}` }];
}
