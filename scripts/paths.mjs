// Where things lie: in the checkout, and in this machine's cache.

import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('..', import.meta.url));
export const targetDirectory = join(root, 'target');
export const logDirectory = join(targetDirectory, 'log');
export const packageDirectory = join(root, 'pkg');
/** The directory of the relay's npm packages. */
export const relayPackages = join(root, 'pkg-relay');
export const relayBinary = join(targetDirectory, 'release', 'peersockets-relay');

/** What is installed once per machine and shared by every checkout. */
export const cacheDirectory = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'beaker-peersockets');
