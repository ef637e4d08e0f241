// npm run bench -- direct: how much two pages send each other, how soon and how fast, against a bare data channel and PeerJS.

import { Failure } from '../scripts/failure.mjs';
import { withBrowser } from './chromium.mjs';
import { DIRECT_FLAGS, DIRECT_WITHIN, Pairs, close, failLate, inTime, withServers } from './pairs.mjs';
import { figure, goal, median, table, writeSection } from './results.mjs';
import { RELAY_OPTIONS, versionOf } from './servers.mjs';

/** By bytes of a message: how many PeerJS is given at once, some 30 MB where messages are long. */
const AT_ONCE = { 64: 20_000, 1_024: 20_000, 16_384: 2_000, 65_536: 500, 1_048_576: 30 };
const LENGTHS = Object.keys(AT_ONCE).map(Number);
const SMALL = [64];
const LARGE = [16_384, 65_536, 1_048_576];
const ROUNDS = 5;
const MILLISECONDS = 1_000;
/** So much of what is measured is sent before, to warm up. */
const WARM_UP = 0.2;
const ARRIVED_WITHIN = 60_000;
const VISITS = 10;
const EXCHANGES = 100;

/** What is compared, in turn. Of the ways of one kind, the one with the better median counts. */
const WAYS = [
  { kind: 'ours', name: 'ours' },
  { kind: 'channel', name: 'bare, 64 KiB', mark: 65_536 },
  { kind: 'channel', name: 'bare, 256 KiB', mark: 262_144 },
  { kind: 'peerjs', name: 'PeerJS, 256 KiB', mark: 262_144 },
  { kind: 'peerjs', name: 'PeerJS, at once' },
];
/** Of each, what the way to the first message and the round trip are measured with. */
const KINDS = { ours: WAYS[0], bare: WAYS[2], PeerJS: WAYS[3] };

export async function benchDirect() {
  await withServers((servers) => withBrowser(async (browser) => {
    const pairs = new Pairs(browser, servers);
    const paths = new Paths();
    const streams = await measureStreams(pairs, paths);
    const visits = await measureVisits(pairs);
    const trips = await measureTrips(pairs, paths);
    write({ streams, visits, trips, paths, version: browser.version() });
  }, DIRECT_FLAGS));
}

function write({ streams, visits, trips, paths, version }) {
  const best = (kind, length) => Math.max(...WAYS.filter((way) => way.kind === kind).map(({ name }) => median(streams[name][length])));
  const ratio = (kind, length) => median(streams.ours[length]) / best(kind, length);
  const spread = (numbers) => `${figure(Math.min(...numbers))}-${figure(Math.max(...numbers))}`;
  const rows = LENGTHS.map((length) => {
    const rates = WAYS.map(({ name }) => streams[name][length]);
    const cells = rates.map((some) => `${figure(median(some))} (${figure(median(some) * length / 1e6)}; ${spread(some)})`);
    return [`${figure(length)} B`, ...cells, ...['channel', 'peerjs'].map((kind) => figure(ratio(kind, length)))];
  });
  const visitRows = Object.entries(visits).map(([kind, times]) => [kind, figure(median(times)), spread(times)]);
  const tripRows = Object.entries(trips).map(([kind, times]) => [kind, ...[0.5, 0.99].map((share) => figure(percentile(times, share)))]);
  writeSection('direct', { Chromium: version, peerjs: versionOf('peerjs'), peer: versionOf('peer') }, [
    paths.told(),
    `From one page to another, in two contexts of one browser: messages/s that had arrived, in order and whole, when the other page said so
(MB/s; lowest and highest), medians of ${ROUNDS} rounds of ${MILLISECONDS / 1_000} s in turn. Ours stops above 1 MiB of \`bufferedAmount\` and goes on at \`drain\`.
*Bare* is a reliable, ordered RTCDataChannel, one message each (1 MiB in pieces of 64 KiB: it takes no more than 256 KiB); it stops above so
much of its \`bufferedAmount\` until half of it is left. PeerJS has its default serialization; it stops in the same way, or is given
${Object.values(AT_ONCE).map(figure).join('; ')} messages at once. Ratios are to the better of two.`,
    table(['message', ...WAYS.map(({ kind, name }) => (kind === 'ours' ? `ours, ${paths}` : name)), 'ours / bare', 'ours / PeerJS'], rows),
    ...losses(streams),
    `From the navigation of a second page, nothing cached, ${VISITS} times in turn, ms: ours to the first message that the first page has of it, PeerJS
to the connection's \`open\`. Each page names in its HTML what it loads: PeerJS its script, ours its module and WebAssembly as the README does.`,
    table(['', 'median', 'lowest and highest'], visitRows),
    `${ROUNDS * EXCHANGES} messages of 32 bytes and their answers, one after another, in turns of ${EXCHANGES}: ms, which the browser's clock gives in tenths.`,
    table(['', 'median', '99th percentile'], tripRows),
    `The relay ran with \`${RELAY_OPTIONS.join(' ')}\`.`,
    [
      ...SMALL.map((length) => atLeast(5, 'the bare channel', length, ratio('channel', length), paths)),
      ...LARGE.map((length) => atLeast(0.9, 'the bare channel', length, ratio('channel', length), paths)),
      ...LARGE.map((length) => atLeast(2, 'PeerJS', length, ratio('peerjs', length), paths)),
      goal(
        `first message earlier than PeerJS's \`open\`: ${figure(median(visits.ours))} ms, ${figure(median(visits.PeerJS))} ms`,
        median(visits.ours) < median(visits.PeerJS),
      ),
    ].join('\n'),
  ].join('\n\n'));
}

/** Of anchors; what is lost of ours ends the program. */
function losses(streams) {
  return WAYS.flatMap(({ name }) => {
    const count = Object.values(streams[name]).flat().filter((rate) => rate === 0).length;
    return count > 0 ? [`${name}: ${count} times not all arrived, in order, within ${ARRIVED_WITHIN / 1_000} s. These count as 0.`] : [];
  });
}

function atLeast(wanted, of, length, ratio, paths) {
  // One that lost everything is no measure.
  return goal(`${paths}: at least ${wanted} × ${of} at ${figure(length)} bytes: ${figure(ratio)}`, ratio >= wanted && ratio < Infinity);
}

/** Messages per second, by way and length. */
async function measureStreams(pairs, paths) {
  const streams = {};
  for (let round = 1; round <= ROUNDS; round += 1) {
    for (const length of LENGTHS) {
      for (const way of turned(WAYS, round)) {
        const { rate, path } = await measureStream(pairs, paths, way, length);
        ((streams[way.name] ??= {})[length] ??= []).push(rate);
        console.log(`round ${round}, ${way.name}${path ? `, ${path}` : ''}, ${figure(length)} bytes: ${figure(rate)} messages/s`);
      }
    }
  }
  return streams;
}

/** The same, another one first each time: what comes first finds the machine as no other does. */
function turned(list, times) {
  const first = times % list.length;
  return [...list.slice(first), ...list.slice(0, first)];
}

async function measureStream(pairs, paths, way, length) {
  const pages = await pairs.open(way, length);
  const isOurs = way.kind === 'ours';
  const before = isOurs && await paths.of(pages);
  const amount = (share) => (
    way.name === 'PeerJS, at once' ? { count: Math.ceil(AT_ONCE[length] * share) } : { milliseconds: MILLISECONDS * share }
  );
  const poured = pages[1].evaluate(async ([length, ...amounts]) => {
    const results = [];
    for (const amount of amounts) results.push(await window.line.pour(length, amount));
    return results;
  }, [length, amount(WARM_UP), amount(1)]);
  const results = await inTime(ARRIVED_WITHIN, poured, () => []);
  const isWhole = results.length > 0 && results.every((result) => result.isWhole);
  const path = isOurs && await paths.note(before, pages);
  await close(pages);
  if (isOurs && !isWhole) throw new Failure(`messages of ${length} bytes were lost, or not there within ${ARRIVED_WITHIN / 1_000} s`, 'this is a bug');
  return { rate: isWhole ? results[1].sent / results[1].seconds : 0, path };
}

/** What is read of two pages that are about to connect, in milliseconds since the second one's navigation. */
const READINGS = {
  ours: async ([host, guest]) => await host.evaluate(() => window.line.greeted) - await guest.evaluate(() => performance.timeOrigin),
  PeerJS: ([, guest]) => guest.evaluate(() => window.ready),
};

/** Milliseconds until a second page is heard, or PeerJS's is connected. */
async function measureVisits(pairs) {
  const visits = { ours: [], PeerJS: [] };
  for (let visit = 1; visit <= VISITS; visit += 1) {
    for (const [kind, read] of turned(Object.entries(READINGS), visit)) visits[kind].push(await measureVisit(pairs, KINDS[kind], read));
  }
  return visits;
}

async function measureVisit(pairs, way, read) {
  const pages = await pairs.meet(way);
  const time = await inTime(ARRIVED_WITHIN, read(pages), failLate('the first message does not come'));
  await close(pages);
  return time;
}

/** Milliseconds to the other page and back. */
async function measureTrips(pairs, paths) {
  const opened = {};
  for (const [kind, way] of Object.entries(KINDS)) opened[kind] = await pairs.open(way);
  const before = await paths.of(opened.ours);
  const trips = {};
  for (let round = 0; round <= ROUNDS; round += 1) {
    for (const [kind, [, guest]] of Object.entries(opened)) {
      const exchanged = guest.evaluate((count) => window.line.exchange(count), EXCHANGES);
      const times = await inTime(ARRIVED_WITHIN, exchanged, failLate(`a short message has no answer: ${kind}`));
      // The first warms up.
      if (round > 0) (trips[kind] ??= []).push(...times);
    }
  }
  await paths.note(before, opened.ours);
  for (const pages of Object.values(opened)) await close(pages);
  return trips;
}

/** How our messages travelled, at the beginning and at the end of each measurement. */
class Paths {
  #counts = new Map();

  async of(pages) {
    return Promise.all(pages.map((page) => page.evaluate(() => window.path())));
  }

  async note(before, pages) {
    const path = [...new Set([...before, ...await this.of(pages)])].join(' and ');
    this.#counts.set(path, (this.#counts.get(path) ?? 0) + 1);
    return path;
  }

  /** Those that there were. */
  toString() {
    return [...this.#counts.keys()].join(', ');
  }

  told() {
    if (String(this) === 'direct') return 'Ours was measured on the path `direct`.';
    const counts = [...this.#counts].map(([path, count]) => `\`${path}\` in ${count}`).join(', ');
    const which = this.#counts.has('direct') ? 'Not all of ours was' : 'Ours was not';
    return `**${which} measured on a direct path**, which did not come within ${DIRECT_WITHIN / 1_000} s: ${counts} measurements.`;
  }
}

function percentile(numbers, share) {
  return [...numbers].sort((a, b) => a - b)[Math.ceil(numbers.length * share) - 1];
}
