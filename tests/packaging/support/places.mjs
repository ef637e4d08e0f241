// Names by which a shipped file could tell of the machine that built it.

import { homedir, tmpdir, userInfo } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const cargoHome = resolve(process.env.CARGO_HOME ?? join(homedir(), '.cargo'));
const places = [root, `${homedir()}/`, `${cargoHome}/`, `${tmpdir()}/`, '/.cargo/', 'registry/src', `@${userInfo().username}`];

/** The places of this machine that a file names. */
export function placesIn(bytes) {
  return places.filter((place) => bytes.includes(place));
}
