// The servers that `bench/relay.mjs` measures, each a process on a core of its own.

import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { relayBinary, root } from '../scripts/paths.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const SERVER_CORE = '0';
const STARTS_WITHIN = 20_000;

/** Options of our relay: none of its limits is to be measured. */
export const RELAY_OPTIONS = [
  '--log=off', '--client-rate=1000000000000', '--client-burst=1000000000000', '--connections=20000', '--connections-per-address=20000',
  '--new-connections-burst=1000000', '--new-connections-per-second=1000000',
];

const unlimited = () => [relayBinary, '--listen=127.0.0.1:0', ...RELAY_OPTIONS];

/** Our relay with the limits that users get. */
const AS_SHIPPED = { relay: { command: (port) => [relayBinary, `--listen=127.0.0.1:${port}`, '--log=off'] } };

/** Each server by the name that the load generator knows it by, or, twice, what its clients do. */
export const SERVERS = {
  relay: { name: 'ours', command: unlimited },
  'relay-with-credit': { name: 'ours, with credit', command: unlimited },
  peerserver: { name: 'PeerServer', command: (port) => [process.execPath, join(here, 'peer-server.mjs'), String(port)] },
  'y-webrtc': { name: 'y-webrtc', command: () => [process.execPath, join(here, 'node_modules/y-webrtc/bin/server.js')] },
};

/** The version of an npm package that is compared with. */
export function versionOf(name) {
  return JSON.parse(readFileSync(join(here, 'node_modules', name, 'package.json'), 'utf8')).version;
}

/** Starts our relay as users do, on this port or any. */
export function startRelay(port) {
  return startServer('relay', [], { servers: AS_SHIPPED, wanted: port });
}

/** Starts a server, with more options. */
export async function startServer(kind, options = [], { servers = SERVERS, wanted } = {}) {
  const port = wanted ?? await freePort();
  const [command, ...parameters] = servers[kind].command(port);
  const child = spawn('taskset', ['--cpu-list', SERVER_CORE, command, ...parameters, ...options], {
    cwd: root, env: { ...process.env, PORT: String(port) }, stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  const first = new Promise((resolve, reject) => {
    createInterface({ input: child.stdout }).once('line', resolve);
    ended.then((code) => reject(new Error(`${kind} ended with ${code}`)));
    setTimeout(() => reject(new Error(`${kind} does not start`)), STARTS_WITHIN).unref();
  });
  const line = await first;
  const address = /^listening on http:\/\/(\S+)/.exec(line)?.[1] ?? `127.0.0.1:${port}`;
  // Not all are as good as their word.
  while (!await answers(address));
  return {
    address,
    /** Resident memory in bytes. */
    memory: () => Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))[1]) * 1024,
    /** Seconds of processor time so far. */
    processorTime: () => {
      const fields = readFileSync(`/proc/${child.pid}/stat`, 'utf8').replace(/^.*\) /, '').split(' ');
      return (Number(fields[11]) + Number(fields[12])) / 100;
    },
    async stop() {
      child.kill('SIGKILL');
      await ended;
    },
  };
}

function answers(address) {
  return new Promise((resolve) => {
    const [host, port] = address.split(':');
    const socket = connect(Number(port), host, () => socket.end(() => resolve(true)));
    socket.once('error', () => resolve(false));
  });
}

/** Below those that clients get: theirs stay taken for a while. */
let lastPort = 20_000;

function freePort() {
  lastPort += 1;
  const port = lastPort;
  return new Promise((resolve) => {
    const server = createServer().once('error', () => resolve(freePort()));
    server.listen(port, () => server.close(() => resolve(port)));
  });
}
