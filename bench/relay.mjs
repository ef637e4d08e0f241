// npm run bench -- relay: messages that pairs pass on through our relay, PeerServer and y-webrtc's server, and what connections cost.

import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { targetDirectory } from '../scripts/paths.mjs';
import { figure, goal, median, table, writeSection } from './results.mjs';
import { RELAY_OPTIONS, SERVERS, startRelay, startServer, versionOf } from './servers.mjs';

const run = promisify(execFile);
const load = join(targetDirectory, 'release/load');
const crowd = join(targetDirectory, 'release/crowd');
const idle = join(targetDirectory, 'release/idle');
const LOAD_CORE = '1';
const ROUNDS = 5;
const SECONDS = 2;
const SHAPES = [[1, 1], [32, 1], [32, 8], [500, 1]];
const GOAL_SHAPE = '32 × 8';
const GOAL_RATE = 1_000_000;
const GOAL_RATIO = 15;
const GOAL_MEMORY = 15e6;
const GOAL_CONNECTION = 8_000;
const CROWD = 5_000;
const GOAL_RETURN = 60;
const ROOMS = [2, 10, 50];

export async function benchRelay() {
  const rates = await measureRates();
  const memory = await measureMemory();
  const back = await measureReturn();
  const users = await measureUsers(rates['relay-with-credit']['1 × 1'].busy);
  const kinds = Object.keys(SERVERS);
  const others = kinds.filter((kind) => !kind.startsWith('relay'));
  const names = kinds.map((kind) => SERVERS[kind].name);
  const rateRows = SHAPES.map(([pairs, inFlight]) => {
    const shape = `${pairs} × ${inFlight}`;
    const cells = kinds.map((kind) => {
      const { rate, p50, p99, busy } = rates[kind][shape];
      return `${figure(rate)} (${figure(p50)} / ${figure(p99)} µs, ${figure(busy)} µs)`;
    });
    const ratios = others.map((kind) => figure(rates.relay[shape].rate / rates[kind][shape].rate));
    return [shape, ...cells, ...ratios];
  });
  const memoryRows = Object.keys(memory).map((kind) => {
    const { empty, thousand, fiveThousand } = memory[kind];
    return [SERVERS[kind].name, ...[empty, thousand, fiveThousand].map(megabytes), figure((fiveThousand - thousand) / 4_000)];
  });
  const best = rates.relay[GOAL_SHAPE];
  const ratio = best.rate / rates.peerserver[GOAL_SHAPE].rate;
  const perConnection = (memory.relay.fiveThousand - memory.relay.thousand) / 4_000;
  writeSection('relay', { peer: versionOf('peer'), 'y-webrtc': versionOf('y-webrtc'), ws: versionOf('ws') }, [
    `Pairs pass messages of 520 bytes to and fro, so many in flight for each pair; server and load have one core each. Messages that arrived per second,
median of ${ROUNDS} rounds of ${SECONDS} s (median and 99th percentile of one message's way; the server's processor time for one message). With credit, clients report what they have
read, as pages do.`,
    table(['pairs × in flight', ...names, ...others.map((kind) => `ours / ${SERVERS[kind].name}`)], rateRows),
    'Resident memory with idle connections, ours in rooms of two.',
    table(['', 'empty, MB', '1,000, MB', '5,000, MB', 'bytes for one more'], memoryRows),
    `1,000 users who have a page open and say nothing: memory and processor time as above, the latter for messages that come one by one; messages and
bytes as devices exchange them in virtual time, with the headers of WebSocket frames and without those of TLS, TCP and IP.`,
    table(['in rooms of', 'memory, MB', 'one core, %', 'messages/s', 'kB/s'], users.map(({ members, core, messages, bytes }) => (
      [members, megabytes(memory.relay.thousand), figure(core * 100), figure(messages), figure(bytes / 1_000)]
    ))),
    `${CROWD.toLocaleString('en')} clients of ${CROWD / 10} addresses, in rooms of 50, whose relay is killed and started again with the limits that users get: all are back
${figure(back)} s after its start. They come at once and then as pages do, after half a second and later each time.`,
    `Elsewhere our relay ran with \`${RELAY_OPTIONS.join(' ')}\`.`,
    [
      goal(`at least 1 M messages/s on one core at ${GOAL_SHAPE}: ${figure(best.rate)}`, best.rate >= GOAL_RATE),
      goal(`at least ${GOAL_RATIO} × PeerServer there: ${figure(ratio)} ×`, ratio >= GOAL_RATIO),
      goal(`at most 15 MB with 1,000 connections: ${megabytes(memory.relay.thousand)} MB`, memory.relay.thousand <= GOAL_MEMORY),
      goal(`${CROWD.toLocaleString('en')} clients back within ${GOAL_RETURN} s: ${figure(back)} s`, back <= GOAL_RETURN),
      goal(`at most 8 kB for an idle connection: ${figure(perConnection)} bytes`, perConnection <= GOAL_CONNECTION),
    ].join('\n'),
  ].join('\n\n'));
}

/** Each server in turn, again and again, so that what else the machine does hits all alike. */
async function measureRates() {
  const samples = {};
  for (let round = 1; round <= ROUNDS; round += 1) {
    for (const [pairs, inFlight] of SHAPES) {
      for (const kind of Object.keys(SERVERS)) {
        const shape = `${pairs} × ${inFlight}`;
        const sample = await measureRate(kind, pairs, inFlight);
        ((samples[kind] ??= {})[shape] ??= []).push(sample);
        console.log(`round ${round}, ${shape}, ${SERVERS[kind].name}: ${figure(sample.rate)} messages/s`);
      }
    }
  }
  const middle = (list, field) => median(list.map((sample) => sample[field]));
  const summary = (list) => Object.fromEntries(['rate', 'p50', 'p99', 'busy'].map((field) => [field, middle(list, field)]));
  return Object.fromEntries(Object.entries(samples).map(([kind, shapes]) => [
    kind, Object.fromEntries(Object.entries(shapes).map(([shape, list]) => [shape, summary(list)])),
  ]));
}

async function measureRate(kind, pairs, inFlight) {
  const server = await startServer(kind);
  try {
    const before = server.processorTime();
    const parameters = ['--cpu-list', LOAD_CORE, load, kind, server.address, 'pairs', pairs, inFlight, SECONDS].map(String);
    const { stdout } = await run('taskset', parameters, { timeout: 120_000 });
    const [arrived, seconds, p50, p99] = stdout.trim().split(' ').map(Number);
    if (!(arrived > 0)) throw new Error(`nothing arrived through ${kind}: ${stdout}`);
    const rate = arrived / seconds;
    // The warm-up of half a second has its share.
    const busy = ((server.processorTime() - before) / (arrived * (seconds + 0.5) / seconds)) * 1e6;
    return { rate, p50, p99, busy };
  } finally {
    await server.stop();
  }
}

async function measureMemory() {
  const memory = {};
  for (const kind of ['relay', 'peerserver', 'y-webrtc']) {
    const server = await startServer(kind);
    try {
      const empty = server.memory();
      const thousand = await memoryWith(server, kind, 1_000);
      memory[kind] = { empty, thousand };
    } finally {
      await server.stop();
    }
    const fresh = await startServer(kind);
    try {
      memory[kind].fiveThousand = await memoryWith(fresh, kind, 5_000);
    } finally {
      await fresh.stop();
    }
    console.log(`${SERVERS[kind].name}: ${Object.values(memory[kind]).map(megabytes).join(', ')} MB`);
  }
  return memory;
}

/** What 1,000 users come to who only are there, if a message costs so many microseconds. */
async function measureUsers(busy) {
  return Promise.all(ROOMS.map(async (members) => {
    const { stdout } = await run(idle, [String(members)]);
    const [messages, bytes] = stdout.trim().split(' ').map((each) => Number(each) * 1_000);
    // A message that passes is one that comes and one that goes.
    return { members, messages, bytes, core: (messages / 2) * busy / 1e6 };
  }));
}

/** Seconds from the start of a relay that was killed until all its clients are back. */
async function measureReturn() {
  const first = await startRelay();
  const clients = spawn('taskset', ['--cpu-list', LOAD_CORE, crowd, first.address, String(CROWD)], { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(clients, 'exit');
  const lines = createInterface({ input: clients.stdout })[Symbol.asyncIterator]();
  const hear = async (word) => {
    const { value } = await lines.next();
    if (value !== word) throw new Error(`the clients say ${value}, not ${word}`);
  };
  let relay = first;
  try {
    await hear('all');
    await first.stop();
    await hear('none');
    const start = Date.now();
    relay = await startRelay(Number(first.address.split(':')[1]));
    await hear('all');
    const seconds = (Date.now() - start) / 1_000;
    console.log(`${CROWD} clients were back after ${figure(seconds)} s`);
    return seconds;
  } finally {
    await relay.stop();
    clients.kill();
    await ended;
  }
}

async function memoryWith(server, kind, count) {
  const holder = spawn(load, [kind, server.address, 'idle', String(count)], { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = new Promise((resolve) => holder.once('exit', resolve));
  try {
    await new Promise((resolve, reject) => {
      createInterface({ input: holder.stdout }).once('line', resolve);
      ended.then((code) => reject(new Error(`the load generator ended with ${code}`)));
    });
    return server.memory();
  } finally {
    holder.stdin.end();
    await ended;
  }
}

function megabytes(bytes) {
  return (bytes / 1e6).toFixed(1);
}
