// Lays out the relay's npm packages: the one that people install, and the one that brings this machine's program.

import { copyFileSync, cpSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join, relative } from 'node:path';
import { platform } from '../relay/npm/main/platform.js';
import { relayBinary, relayPackages, root } from './paths.mjs';

const templates = join(root, 'relay/npm');

/** The step that does it, once the relay is built. */
export const buildRelayPackages = {
  name: 'build-relay-packages',
  title: `lay out the relay's npm packages in ${relative(root, relayPackages)}/`,
  run: async () => {
    layOutMain();
    layOutPlatform();
  },
};

function layOutMain() {
  const directory = startFrom('main', 'beaker-peersockets-relay');
  changeManifest(directory, (manifest) => {
    const platforms = Object.keys(manifest.optionalDependencies);
    return { ...manifest, version: version(), optionalDependencies: Object.fromEntries(platforms.map((name) => [name, version()])) };
  });
}

function layOutPlatform() {
  const directory = startFrom('platform', `relay-${platform()}`);
  changeManifest(directory, (manifest) => ({ ...manifest, name: manifest.name + platform(), version: version(), ...conditions() }));
  copyFileSync(relayBinary, join(directory, basename(relayBinary)));
}

/** Where npm is to install the program: on machines like this one. */
function conditions() {
  const [os, cpu, libc = 'glibc'] = platform().split('-');
  return { os: [os], cpu: [cpu], ...(os === 'linux' && { libc: [libc] }) };
}

/** A fresh directory in `pkg-relay/`: a template and the licences. */
function startFrom(template, name) {
  const directory = join(relayPackages, name);
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(relayPackages, { recursive: true });
  cpSync(join(templates, template), directory, { recursive: true });
  for (const file of readdirSync(root).filter((file) => file.startsWith('LICENSE-'))) copyFileSync(join(root, file), join(directory, file));
  return directory;
}

function changeManifest(directory, change) {
  const file = join(directory, 'package.json');
  writeFileSync(file, `${JSON.stringify(change(JSON.parse(readFileSync(file, 'utf8'))), null, 2)}\n`);
}

/** The workspace's version: the only place where the relay's is written. */
function version() {
  return /^\[workspace\.package\]\nversion = "(.+)"$/m.exec(readFileSync(join(root, 'Cargo.toml'), 'utf8'))[1];
}
