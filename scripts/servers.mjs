// Servers for tests: Debian's packages, unpacked into the cache. To install them would start them, for all the world.

import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { asRoot } from './debian.mjs';
import { Failure } from './failure.mjs';
import { cacheDirectory } from './paths.mjs';
import { findCommand } from './shell.mjs';

export const nginx = server('nginx', 'nginx', 'usr/sbin');
export const coturn = server('coturn', 'turnserver', 'usr/bin');

/** The step that brings a server, and the path of its program. */
function server(name, program, directory) {
  const home = join(cacheDirectory, name);
  const unpacked = join(home, directory, program);
  return {
    name,
    title: `unpack ${name}`,
    needed: () => !findCommand(program) && !existsSync(unpacked),
    run: async (shell) => {
      if (!findCommand('apt-get')) throw new Failure(`${name} is missing, and this is not Debian`, 'install it by hand, then run it again');
      const privileged = asRoot(`apt-get install --no-install-recommends ${name}`);
      await privileged(shell, 'apt-get', ['update']);
      mkdirSync(home, { recursive: true });
      await shell.run('apt-get', ['download', name], { cwd: home });
      const archive = join(home, readdirSync(home).find((file) => file.startsWith(`${name}_`) && file.endsWith('.deb')));
      const needs = await shell.run('dpkg-deb', ['--field', archive, 'Depends']);
      // The libraries that it is linked with, and not what would set it up as a service.
      const libraries = needs.split(', ').filter((need) => need.startsWith('lib'));
      await privileged(shell, 'apt-get', ['satisfy', '--yes', '--no-install-recommends', libraries.join(', ')]);
      await shell.run('dpkg-deb', ['--extract', archive, home]);
    },
    /** Its path. */
    get program() {
      const path = findCommand(program) ?? unpacked;
      if (!existsSync(path)) throw new Failure(`${name} is missing`, 'run npm test, which brings it');
      return path;
    },
  };
}
