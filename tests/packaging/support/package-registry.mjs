// The environment in which npm installs this package, as `npm pack` makes it of pkg/, and nothing else. It ends with the test file.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { fileURLToPath } from 'node:url';
import { startRegistry } from './registry.mjs';

/** Nothing is asked of anybody else, and nothing is asked again. */
const QUIET = { npm_config_audit: 'false', npm_config_fund: 'false', npm_config_update_notifier: 'false', npm_config_fetch_retries: '0' };

export const registry = await start();

async function start() {
  const directory = await mkdtemp(join(tmpdir(), 'registry-'));
  const { url, close } = await startRegistry([fileURLToPath(new URL('../../../pkg/', import.meta.url))], directory);
  after(async () => {
    close();
    await rm(directory, { recursive: true, force: true });
  });
  return { npm_config_registry: url, npm_config_cache: join(directory, 'cache'), ...QUIET };
}
