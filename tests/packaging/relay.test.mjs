// What somebody gets who installs the relay from npm, on a machine without Rust.

import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { on, once } from 'node:events';
import { chmod, mkdir, mkdtemp, readFile, readdir, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import WebSocket from 'ws';
import { findCommand } from '../../scripts/shell.mjs';
import { frame, kind, readFrame } from '../e2e/support/relay-frames.mjs';
import { placesIn } from './support/places.mjs';
import { startRegistry } from './support/registry.mjs';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../../', import.meta.url));
const name = 'beaker-peersockets-relay';
/** The one that is built here. */
const platform = `${process.platform}-${process.arch}`;
const platformName = `@beaker-peersockets/relay-${platform}`;
const platforms = ['darwin-arm64', 'darwin-x64', 'linux-arm64', 'linux-x64'];
/** Longest time that anything may take, in milliseconds. */
const PATIENCE = 60_000;
/** Most that the program may add to a download, in bytes. */
const SIZE_LIMIT = 2_000_000;
/** The C library that the README promises to be enough. */
const GLIBC = '2.34';

let scratch;
let registry;
/** Nothing of this machine but Node, npm and a shell. */
let env;
/** Where the relay is installed. */
let consumer;
let version;

before(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'relay-consumer-'));
  const packages = join(root, 'pkg-relay');
  registry = await startRegistry([join(root, 'pkg'), join(packages, name), join(packages, `relay-${platform}`)], scratch);
  await mkdir(join(scratch, 'bin'));
  for (const program of ['node', 'npm', 'npx', 'sh']) await symlink(findCommand(program), join(scratch, 'bin', program));
  env = {
    PATH: join(scratch, 'bin'), HOME: join(scratch, 'home'),
    npm_config_registry: registry.url, npm_config_audit: 'false', npm_config_fund: 'false', npm_config_update_notifier: 'false',
    // At a terminal npx asks first.
    npm_config_yes: 'true',
  };
  consumer = await folder('consumer');
  await install(consumer, name);
  version = /^\[workspace\.package\]\nversion = "(.+)"/m.exec(await readFile(join(root, 'Cargo.toml'), 'utf8'))[1];
});

after(async () => {
  registry.close();
  await rm(scratch, { recursive: true, force: true });
});

test('npm install beaker-peersockets and npx beaker-peersockets-relay are the whole start, without Rust', async (t) => {
  const empty = await folder('empty');
  await install(empty, 'beaker-peersockets');
  const relay = await start(t, 'npx', [name, '--port', '0'], { cwd: empty });
  assert.match(relay.lines[0], /^listening on http:\/\/127\.0\.0\.1:\d+$/);
  assert.equal(relay.lines[1], `pages of other servers name it: <meta name="peersockets-relay" content="${relay.webSocketUrl}">`);

  const health = await (await fetch(`${relay.url}/health`)).json();
  assert.deepEqual([health.status, health.version], ['ok', version]);

  const room = randomBytes(32);
  const called = await joinRoom(t, relay, room);
  const caller = await joinRoom(t, relay, room);
  caller.send(frame(kind.dial, called.member, 1), frame(kind.data, called.member, 1, Buffer.from('hello')));
  assert.deepEqual(readFrame(await called.next()), { kind: kind.dialed, member: caller.member, circuit: 1, rest: Buffer.of() });
  assert.deepEqual(readFrame(await called.next()), { kind: kind.data, member: caller.member, circuit: 1, rest: Buffer.from('hello') });

  // The signal ends npx and its shell at once, and they tell nobody. The relay has ended too when nobody holds the output open.
  relay.process.kill('SIGTERM');
  await relay.ended();
});

test('it listens on port 8787 of this machine alone unless told otherwise', async () => {
  const { stdout } = await finish('npx', [name, '--help']);
  assert.match(stdout, /--listen <ADDRESS:PORT>(?:(?!\n +--)[^])*\[default: 127\.0\.0\.1:8787\]/);
});

test('its words, its output and its exit code are those of the program', async () => {
  const { stdout: program } = await node(`import { binaryPath } from '${name}'; console.log(binaryPath())`);
  for (const [words, code] of [[['--help'], 0], [['--version'], 0], [['--www', 'no/such place'], 1], [['--unheard-of'], 2], [['--queue=lots'], 2]]) {
    const launched = await finish(name, words);
    assert.deepEqual(launched, await finish(program.trim(), words), words.join(' '));
    assert.equal(launched.code, code, launched.stderr);
    assert.notEqual(launched.stdout + launched.stderr, '');
  }
});

test('SIGTERM and SIGINT to the launcher end the relay in good order', async (t) => {
  for (const signal of ['SIGTERM', 'SIGINT']) {
    const relay = await start(t, name, ['--port', '0']);
    const member = await joinRoom(t, relay, randomBytes(32));
    relay.process.kill(signal);
    const types = [(await member.next())[0], (await member.next())[0]];
    assert.deepEqual(types, [kind.goingAway, kind.refused], 'members are told that it shuts down');
    assert.deepEqual(await relay.ended(), [0, null], signal);
  }
});

test('SIGHUP to the launcher reaches the relay and ends neither', async (t) => {
  const relay = await start(t, name, ['--port', '0']);
  relay.process.kill('SIGHUP');
  await relay.logged(/SIGHUP: nothing to read anew/);
  assert.equal((await fetch(`${relay.url}/health`)).status, 200);
  relay.process.kill('SIGTERM');
  assert.deepEqual(await relay.ended(), [0, null]);
});

test('a relay that a signal kills ends its launcher by the same signal', async (t) => {
  const killed = await start(t, name, ['--port', '0']);
  process.kill(await childOf(killed.process.pid), 'SIGKILL');
  assert.deepEqual(await killed.ended(), [null, 'SIGKILL']);
});

test('a program starts it as the readme says', async () => {
  const readme = await readFile(join(consumer, 'node_modules', name, 'README.md'), 'utf8');
  const [, example] = /```js\n(import \{ spawn \}.*?)```/s.exec(readme);
  const source = example.replace('// ...', `
    console.log(url, (await fetch(url.replace('ws', 'http'))).headers.get('x-peersockets-relay'))
    relay.on('exit', (code) => console.log(code))`);
  assert.notEqual(source, example);
  const { stdout } = await node(source);
  assert.match(stdout, /^ws:\/\/127\.0\.0\.1:\d+\/relay v1\n0\n$/);
});

test('a strict typescript program knows that it gives a path', async () => {
  await writeFile(join(consumer, 'program.ts'), `
    import { binaryPath } from '${name}';
    export const path: string = binaryPath();
    export const number: number = binaryPath();`);
  const settings = ['--strict', '--noEmit', '--target', 'es2022', '--module', 'nodenext', '--lib', 'es2022', 'program.ts'];
  const { stdout } = await finish('node', [join(root, 'node_modules/typescript/bin/tsc'), ...settings]);
  assert.match(stdout, /^program\.ts\(4,\d+\): error TS2322.*\n$/);
});

test('npm installs the program only where it runs', async () => {
  assert.deepEqual(await readdir(join(consumer, 'node_modules/@beaker-peersockets')), [`relay-${platform}`]);
  await Promise.all(['--os=darwin', '--cpu=ia32', '--libc=musl'].map(async (elsewhere) => {
    const directory = await folder(`npm${elsewhere}`);
    await install(directory, name, elsewhere);
    assert.deepEqual((await readdir(join(directory, 'node_modules'))).filter((entry) => !entry.startsWith('.')), [name], elsewhere);
  }));
});

test('where the program was left out it says what is missing and what to do', async () => {
  const directory = await folder('omitted');
  await install(directory, name, '--omit=optional');
  const expected = `${platformName} is not installed: install again on this machine, with optional dependencies (no --omit=optional)`;
  assert.deepEqual(await finish('npx', [name], { cwd: directory }), { code: 1, stdout: '', stderr: `${name}: ${expected}\n` });
  const { stdout } = await node(`import { binaryPath } from '${name}'; try { binaryPath() } catch (error) { console.log(error.message) }`, directory);
  assert.equal(stdout, `${expected}\n`);
});

test('a program that cannot be run is named, with the reason', async () => {
  const directory = await folder('locked');
  await install(directory, name);
  const program = join(directory, 'node_modules', platformName, 'peersockets-relay');
  await chmod(program, 0o644);
  const { code, stdout, stderr } = await finish('npx', [name], { cwd: directory });
  assert.equal(stderr, `${name}: cannot run ${await realpath(program)}: spawn ${await realpath(program)} EACCES\n`);
  assert.deepEqual([code, stdout], [1, '']);
});

test('where there is no package it says for which platforms there are and what to do', async () => {
  const build = 'build it with Rust (in a clone of beaker-peersockets: cargo install --locked --path relay), then run peersockets-relay';
  const musl = `process.report.getReport = () => ({ header: {} })`;
  for (const [disguise, seen, remedy] of [
    [`Object.defineProperty(process, 'platform', { value: 'freebsd' })`, `freebsd-${process.arch}`, build],
    [`Object.defineProperty(process, 'platform', { value: 'win32' })`, `win32-${process.arch}`, 'run it in WSL'],
    [`Object.defineProperty(process, 'arch', { value: 's390x' }); ${musl}`, 'linux-s390x-musl', build],
  ]) {
    const launcher = join(consumer, 'node_modules', name, 'launch.js');
    const { code, stdout, stderr } = await finish('node', ['--import', `data:text/javascript,${disguise}`, launcher, '--version']);
    assert.equal(stderr, `${name}: there is no package with a relay for ${seen}, only for ${platforms.join(', ')}: ${remedy}\n`);
    assert.deepEqual([code, stdout], [1, '']);
  }
});

test('both packages hold what runs and what explains it and nothing else', () => {
  const documents = ['LICENSE-APACHE', 'LICENSE-MIT', 'README.md', 'package.json'];
  assert.deepEqual(packed(name).files.map(({ path }) => path).sort(), [...documents, 'index.d.ts', 'index.js', 'launch.js', 'platform.js'].sort());
  assert.deepEqual(packed(platformName).files.map(({ path }) => path).sort(), [...documents, 'peersockets-relay'].sort());
});

test('both packages have the licences and the version of the workspace', async () => {
  for (const one of [name, platformName]) {
    const manifest = await installedManifest(one);
    assert.deepEqual([manifest.version, manifest.license], [version, 'MIT OR Apache-2.0'], one);
    for (const file of ['LICENSE-MIT', 'LICENSE-APACHE']) {
      assert.deepEqual(await readFile(join(consumer, 'node_modules', one, file)), await readFile(join(root, file)), one);
    }
  }
  const { optionalDependencies } = await installedManifest(name);
  assert.deepEqual(optionalDependencies, Object.fromEntries(platforms.map((one) => [`@beaker-peersockets/relay-${one}`, version])));
});

test('neither package names a place of the machine that built it', async () => {
  for (const one of [name, platformName]) {
    for (const { path } of packed(one).files) assert.deepEqual(placesIn(await readFile(join(consumer, 'node_modules', one, path))), [], path);
  }
});

test(`the program needs no newer C library than the readme says, glibc ${GLIBC}`, async () => {
  const readme = await readFile(join(consumer, 'node_modules', name, 'README.md'), 'utf8');
  assert.ok(readme.includes(`glibc ${GLIBC} or newer`));
  const program = await readFile(join(consumer, 'node_modules', platformName, 'peersockets-relay'), 'latin1');
  const needed = [...program.matchAll(/\0GLIBC_2\.(\d+)(?=\0)/g)].map(([, minor]) => Number(minor));
  assert.ok(needed.length > 0);
  assert.deepEqual(needed.filter((minor) => minor > Number(GLIBC.split('.')[1])), []);
});

test(`installing both downloads at most ${SIZE_LIMIT} bytes`, (t) => {
  const sizes = [name, platformName].map((one) => packed(one).size);
  t.diagnostic(`${name}: ${sizes[0]} bytes, ${platformName}: ${sizes[1]} bytes`);
  assert.ok(sizes[0] + sizes[1] <= SIZE_LIMIT, String(sizes));
});

/** A fresh folder with a project of nothing. */
async function folder(title) {
  const directory = join(scratch, title);
  await mkdir(directory);
  await writeFile(join(directory, 'package.json'), '{ "private": true, "type": "module" }');
  return directory;
}

function install(directory, ...words) {
  return run('npm', ['install', ...words], { cwd: directory, env, timeout: PATIENCE });
}

/** The environment of `npm run` in the consumer's folder: commands of installed packages are found. */
function environment(cwd) {
  return { ...env, PATH: `${join(cwd, 'node_modules/.bin')}:${env.PATH}` };
}

/** Starts a relay that ends with the test. Resolves when it listens. */
async function start(t, command, parameters, { cwd = consumer } = {}) {
  // A process group of its own, so that nothing stays behind a test that fails.
  const child = spawn(command, parameters, { cwd, env: environment(cwd), stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  const ended = once(child, 'close', { signal: AbortSignal.timeout(PATIENCE) });
  ended.catch(() => {});
  t.after(() => {
    try {
      process.kill(-child.pid, 'SIGKILL');
    } catch (error) {
      assert.equal(error.code, 'ESRCH');
    }
  });
  let log = '';
  child.stderr.on('data', (text) => { log += text; });
  const lines = [];
  for await (const line of createInterface({ input: child.stdout, signal: AbortSignal.timeout(PATIENCE) })) {
    lines.push(line);
    if (lines.length === 2) break;
  }
  const [, url] = /^listening on (.*)$/.exec(lines[0] ?? '') ?? [];
  assert.ok(url, `it said ${JSON.stringify(lines)} and ${log}`);
  return {
    process: child, lines, url, webSocketUrl: `${url.replace('http', 'ws')}/relay`,
    /** Resolves when the relay has written this to its log. */
    async logged(pattern) {
      const signal = AbortSignal.timeout(PATIENCE);
      while (!pattern.test(log)) await once(child.stderr, 'data', { signal });
    },
    /** The exit code and the signal, once the process has ended and nobody it started can write any more. */
    ended: () => ended,
  };
}

/** Runs a command to its end, whatever it is. */
async function finish(command, parameters, { cwd = consumer } = {}) {
  try {
    const { stdout, stderr } = await run(command, parameters, { cwd, env: environment(cwd), timeout: PATIENCE });
    return { code: 0, stdout, stderr };
  } catch ({ code, stdout, stderr }) {
    return { code, stdout, stderr };
  }
}

/** Runs a module; it must end by itself. */
function node(source, cwd = consumer) {
  return run('node', ['--input-type=module', '--eval', source], { cwd, env, timeout: PATIENCE });
}

/** Joins a room as a page of a dev server does. */
async function joinRoom(t, relay, room) {
  const socket = new WebSocket(relay.webSocketUrl, 'peersockets.relay.v1', { origin: 'http://localhost:5173' });
  t.after(() => socket.terminate());
  const messages = on(socket, 'message', { signal: AbortSignal.timeout(PATIENCE) });
  const next = async () => (await messages.next()).value[0];
  await once(socket, 'open');
  socket.send(frame(kind.join, room));
  const welcome = await next();
  assert.equal(welcome[0], kind.welcome);
  return { next, member: welcome[1], send: (...frames) => frames.forEach((bytes) => socket.send(bytes)) };
}

/** The process that another one has started. */
async function childOf(parent) {
  for (const pid of (await readdir('/proc')).filter((entry) => /^\d+$/.test(entry))) {
    const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
    if (status.includes(`\nPPid:\t${parent}\n`)) return Number(pid);
  }
  throw new Error(`${parent} has started no process`);
}

function packed(one) {
  return registry.packed.find((result) => result.name === one);
}

async function installedManifest(one) {
  return JSON.parse(await readFile(join(consumer, 'node_modules', one, 'package.json'), 'utf8'));
}
