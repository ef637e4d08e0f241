// nginx, for tests: Debian's package, unpacked into the cache. To install it would start a web server on port 80.

import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { Failure } from './failure.mjs';
import { asRoot } from './debian.mjs';
import { cacheDirectory } from './paths.mjs';
import { findCommand } from './shell.mjs';

const home = join(cacheDirectory, 'nginx');
const unpacked = join(home, 'usr/sbin/nginx');

/** The step that brings it. */
export const nginx = {
  name: 'nginx',
  title: 'unpack nginx',
  needed: () => !findCommand('nginx') && !existsSync(unpacked),
  run: async (shell) => {
    if (!findCommand('apt-get')) throw new Failure('nginx is missing, and this is not Debian', 'install it by hand, then run it again');
    await asRoot('apt-get update')(shell, 'apt-get', ['update']);
    mkdirSync(home, { recursive: true });
    await shell.run('apt-get', ['download', 'nginx'], { cwd: home });
    const archive = readdirSync(home).find((file) => /^nginx_.*\.deb$/.test(file));
    await shell.run('dpkg-deb', ['--extract', archive, '.'], { cwd: home });
  },
};

/** The program's path. */
export function nginxProgram() {
  const program = findCommand('nginx') ?? unpacked;
  if (!existsSync(program)) throw new Failure('nginx is missing', 'run npm test, which brings it');
  return program;
}
