// The Rust standard library for wasm32: rustup's where it can be had, else built from Debian's packages.

import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { asRoot, installPackages } from './debian.mjs';
import { CommandFailure, Failure } from './failure.mjs';
import { findCommand } from './shell.mjs';

const TARGET = 'wasm32-unknown-unknown';
/** Seconds without a byte after which rustup gives up; a download that moves takes the time it takes. */
const RUSTUP_PATIENCE = 20;

const DEBIAN_RUSTC = '/usr/bin/rustc';
const DEBIAN_TOOLCHAIN = 'debian';
const DEBIAN_PACKAGES = ['rustc-web', 'rust-web-src', 'rust-web-clippy'];
/** Holds the version of the compiler that the library beside it was built for. */
const VERSION_FILE = 'built-for';

/** The step that brings the wasm32 target. */
export const wasmTarget = {
  name: 'wasm-target',
  title: `install the Rust target ${TARGET}`,
  needed: () => !isInstalled(),
  run: async (shell) => {
    if (!await addWithRustup(shell)) await buildFromDebian(shell);
  },
};

/** The environment that makes cargo, rustc and rustdoc of one toolchain compile for wasm32. */
export function wasmEnvironment() {
  return rustupHasTarget() ? {} : { RUSTUP_TOOLCHAIN: DEBIAN_TOOLCHAIN };
}

function isInstalled() {
  if (!findCommand('rustup')) throw new Failure('rustup is missing', 'install Rust as described on https://rustup.rs, then run it again');
  return rustupHasTarget() || debianHasTarget();
}

function rustupHasTarget() {
  return holdsStandardLibrary(libraryDirectory('rustc'));
}

function debianHasTarget() {
  if (!existsSync(DEBIAN_RUSTC)) return false;
  const library = libraryDirectory(DEBIAN_RUSTC);
  const versionFile = join(library, VERSION_FILE);
  return existsSync(debianLinker())
    && existsSync(versionFile) && readFileSync(versionFile, 'utf8') === capture(DEBIAN_RUSTC, '-V')
    && capture('rustup', 'toolchain', 'list').split('\n').some((line) => line.split(' ')[0] === DEBIAN_TOOLCHAIN);
}

function libraryDirectory(rustc) {
  return capture(rustc, '--print', 'target-libdir', '--target', TARGET);
}

function holdsStandardLibrary(directory) {
  return existsSync(directory) && readdirSync(directory).some((file) => /^libstd-.*\.rlib$/.test(file));
}

async function addWithRustup(shell) {
  try {
    await shell.run('rustup', ['target', 'add', TARGET], { env: { RUSTUP_DOWNLOAD_TIMEOUT: String(RUSTUP_PATIENCE) } });
    return rustupHasTarget();
  } catch (error) {
    if (error instanceof CommandFailure) return false;
    throw error;
  }
}

/** Debian ships a compiler and the library's source, but no built library: build it, and put it where rustc looks. */
async function buildFromDebian(shell) {
  await installPackages(shell, DEBIAN_PACKAGES);
  const privileged = asRoot(`npm start (to put files into ${libraryDirectory(DEBIAN_RUSTC)})`);
  const scratch = mkdtempSync(join(tmpdir(), 'wasm-std-'));
  try {
    const built = await buildStandardLibrary(shell, scratch);
    writeFileSync(join(scratch, VERSION_FILE), capture(DEBIAN_RUSTC, '-V'));
    const library = libraryDirectory(DEBIAN_RUSTC);
    await privileged(shell, 'rm', ['-rf', library]);
    await privileged(shell, 'mkdir', ['-p', library]);
    await privileged(shell, 'cp', [...built, join(scratch, VERSION_FILE), library]);
  } finally {
    rmSync(scratch, { recursive: true });
  }
  await privileged(shell, 'mkdir', ['-p', join(debianLinker(), '..')]);
  await privileged(shell, 'ln', ['-sf', linkerOf('rustc'), debianLinker()]);
  await shell.run('rustup', ['toolchain', 'link', DEBIAN_TOOLCHAIN, '/usr']);
}

/** Builds std by way of an empty crate; gives the library's files. */
async function buildStandardLibrary(shell, crate) {
  mkdirSync(join(crate, 'src'));
  writeFileSync(join(crate, 'Cargo.toml'), '[package]\nname = "empty"\nversion = "0.0.0"\nedition = "2021"\n[workspace]\n');
  writeFileSync(join(crate, 'src/lib.rs'), '');
  await shell.run('cargo', ['build', '--release', '--target', TARGET, '-Z', 'build-std=std,panic_abort,test'], {
    cwd: crate,
    env: { RUSTC: DEBIAN_RUSTC, RUSTC_BOOTSTRAP: '1', CARGO_TARGET_DIR: join(crate, 'target') },
  });
  const libraries = join(crate, 'target', TARGET, 'release/deps');
  return readdirSync(libraries)
    .filter((file) => file.endsWith('.rlib') && !file.startsWith('libempty-'))
    .map((file) => join(libraries, file));
}

function debianLinker() {
  return linkerOf(DEBIAN_RUSTC);
}

function linkerOf(rustc) {
  const host = /^host: (.*)$/m.exec(capture('rustc', '-vV'))[1];
  return join(capture(rustc, '--print', 'sysroot'), 'lib/rustlib', host, 'bin/rust-lld');
}

function capture(command, ...parameters) {
  return execFileSync(command, parameters, { encoding: 'utf8' }).trim();
}
