// The npm packages that the lock files name.

import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './paths.mjs';

/** The step that installs them. */
export const npmPackages = packagesOf(root, 'npm-packages', 'install the npm packages');

/** The step that installs what benchmarks compare with. */
export const benchPackages = packagesOf(join(root, 'bench'), 'npm-packages-bench', 'install the npm packages to compare with');

function packagesOf(directory, name, title) {
  const lockFile = join(directory, 'package-lock.json');
  // npm writes it last.
  const installedFile = join(directory, 'node_modules/.package-lock.json');
  return {
    name,
    title,
    needed: () => !existsSync(installedFile) || statSync(installedFile).mtimeMs < statSync(lockFile).mtimeMs,
    run: (shell) => shell.run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], { cwd: directory }),
  };
}

/** The path of a program that an npm package brings. */
export function npmProgram(name) {
  return join(root, 'node_modules/.bin', name);
}
