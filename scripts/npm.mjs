// The npm packages that package-lock.json names.

import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './paths.mjs';

const lockFile = join(root, 'package-lock.json');
/** npm writes it last. */
const installedFile = join(root, 'node_modules/.package-lock.json');

/** The step that installs them. */
export const npmPackages = {
  name: 'npm-packages',
  title: 'install the npm packages',
  needed: () => !existsSync(installedFile) || statSync(installedFile).mtimeMs < statSync(lockFile).mtimeMs,
  run: (shell) => shell.run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund']),
};

/** The path of a program that an npm package brings. */
export function npmProgram(name) {
  return join(root, 'node_modules/.bin', name);
}
