// An empty folder in which somebody installs the package and writes a page.

import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join, relative } from 'node:path';
import { after } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { startRegistry } from './registry.mjs';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../../../', import.meta.url));
const workspace = join(root, 'node_modules');
/** Longest time that a command may take before the test fails, in milliseconds. */
const PATIENCE = 120_000;

export const name = 'beaker-peersockets';

const scratch = await mkdtemp(join(tmpdir(), 'registry-'));
/** It has the package as `npm pack` packs it, and nothing else. */
const registry = await startRegistry([join(root, 'pkg')], scratch);
after(async () => {
  registry.close();
  await rm(scratch, { recursive: true, force: true });
});

/** Commands find the tools of the workspace; npm asks that registry, once, and remembers nothing from elsewhere. */
const environment = {
  ...process.env,
  PATH: [join(workspace, '.bin'), process.env.PATH].join(delimiter),
  npm_config_registry: registry.url, npm_config_cache: join(scratch, 'cache'), npm_config_fetch_retries: '0',
  npm_config_audit: 'false', npm_config_fund: 'false', npm_config_update_notifier: 'false',
};

/**
 * A folder in which the package was installed. It is gone when the test ends, or the file if that calls.
 * @param {Record<string, string>} [files] what else is in it
 * @param {string[]} [tools] npm packages that are there too: links to those of the workspace
 * @returns {Promise<Project>}
 */
export async function newProject(files = {}, tools = []) {
  const project = new Project(await mkdtemp(join(tmpdir(), 'project-')));
  after(() => rm(project.directory, { recursive: true, force: true }));
  await project.write({ 'package.json': '{ "private": true, "type": "module" }', ...files });
  await project.run('npm', 'install', name);
  for (const tool of tools) await project.link(tool);
  return project;
}

class Project {
  constructor(directory) {
    this.directory = directory;
    this.installed = join(directory, 'node_modules', name);
  }

  /** The full path of one of its files. */
  path(file) {
    return join(this.directory, file);
  }

  /** Writes files, by their paths. */
  async write(files) {
    for (const [file, text] of Object.entries(files)) {
      await mkdir(dirname(this.path(file)), { recursive: true });
      await writeFile(this.path(file), text);
    }
  }

  /** The paths of all files below one of its directories, relative to that. */
  async files(directory = '.') {
    const top = this.path(directory);
    const entries = await readdir(top, { recursive: true, withFileTypes: true });
    return entries.filter((entry) => entry.isFile()).map((entry) => relative(top, join(entry.parentPath, entry.name))).sort();
  }

  /** One of the files that were installed with the package. */
  read(file) {
    return readFile(join(this.installed, file));
  }

  /** Runs a command in it, one of its tools included; gives what that wrote. It must end by itself. */
  async run(command, ...parameters) {
    return run(command, parameters, { cwd: this.directory, env: environment, timeout: PATIENCE });
  }

  /** Runs a module in it. */
  node(source) {
    return this.run(process.execPath, '--input-type=module', '--eval', source);
  }

  async link(tool) {
    const place = join(this.directory, 'node_modules', tool);
    await mkdir(dirname(place), { recursive: true });
    await symlink(join(workspace, tool), place);
  }
}
