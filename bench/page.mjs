// npm run bench -- page: what a page waits for, how much two pages send each other through the relay, what it costs, and what is downloaded.

import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { packageDirectory, root } from '../scripts/paths.mjs';
import { downloads } from '../scripts/size.mjs';
import { open, withBrowser } from './chromium.mjs';
import { figure, goal, median, table, writeSection } from './results.mjs';
import { RELAY_OPTIONS, startServer } from './servers.mjs';

const LENGTHS = [100, 1_024, 65_536];
const ROUNDS = 5;
const MILLISECONDS = 1_500;
const VISITS = 20;
const GOAL_RATIO = 0.5;
/** Measured with PeerJS on a like machine, on loopback: the broker's `open`, then `connect()` to `open`. */
const PEERJS_MILLISECONDS = '33-40';

export async function benchPage() {
  const relay = await startServer('relay', ['--www', join(root, 'bench/pages'), '--pkg', packageDirectory]);
  try {
    const { visits, streams, version } = await withBrowser(async (browser) => ({
      visits: await measureVisits(browser, relay), streams: await measureStreams(browser, relay), version: browser.version(),
    }));
    write(visits, streams, version);
  } finally {
    await relay.stop();
  }
}

function write(visits, streams, version) {
  const middle = (kind, length, field) => median(streams[kind][length].map((sample) => sample[field]));
  const ratio = (length) => middle('ours', length, 'rate') / middle('bare', length, 'rate');
  const rows = LENGTHS.map((length) => {
    const cells = ['ours', 'bare'].map((kind) => {
      const rate = middle(kind, length, 'rate');
      return `${figure(rate)} (${figure(rate * length / 1e6)})`;
    });
    const costs = ['ours', 'bare'].map((kind) => ['sender', 'receiver'].map((end) => figure(middle(kind, length, end))).join(' / '));
    return [`${figure(length)} B`, ...cells, figure(ratio(length)), ...costs];
  });
  const sizes = downloads(packageDirectory).map(({ file, raw, gz, br }) => [file, ...[raw, gz, br].map(figure)]);
  writeSection('page', { Chromium: version }, [
    `From the navigation of a second page to its first message, received through the relay, nothing cached, median of ${VISITS}: ${figure(median(visits))} ms
(best ${figure(Math.min(...visits))}, worst ${figure(Math.max(...visits))}). PeerJS, quoted and not run here: ${PEERJS_MILLISECONDS} ms from its \`new\` to an open connection.`,
    `From one page to another, at most 1 MiB or 4,096 messages under way; median of ${ROUNDS} rounds of ${MILLISECONDS / 1_000} s in turn. *Bare* is a WebSocket of
each page to the same relay, one message a frame, without peers, encryption or sessions. Script time is all JavaScript and WebAssembly of a page.`,
    table(['message', 'ours, messages/s (MB/s)', 'bare, messages/s (MB/s)', 'ours / bare', 'ours: µs of script, sender / receiver', 'bare'], rows),
    'What a page downloads for the default entry, in bytes.',
    table(['file', 'raw', 'gz', 'br'], sizes),
    `The relay ran with \`${RELAY_OPTIONS.join(' ')}\`.`,
    LENGTHS.map((length) => goal(
      `at least ${GOAL_RATIO} of a bare WebSocket, encrypted, at ${figure(length)} bytes: ${figure(ratio(length))}`, ratio(length) >= GOAL_RATIO,
    )).join('\n'),
  ].join('\n\n'));
}

async function measureVisits(browser, relay) {
  const times = [];
  const url = address(relay, 'ours');
  const [host] = await open(browser, [url]);
  for (let visit = 0; visit < VISITS; visit += 1) {
    const [guest] = await open(browser, [url]);
    times.push(await guest.evaluate(() => window.greeted));
    await guest.context().close();
  }
  await host.context().close();
  return times;
}

async function measureStreams(browser, relay) {
  const streams = {};
  for (let round = 1; round <= ROUNDS; round += 1) {
    for (const length of LENGTHS) {
      for (const kind of ['ours', 'bare']) {
        const sample = await measureStream(browser, relay, kind, length);
        ((streams[kind] ??= {})[length] ??= []).push(sample);
        console.log(`round ${round}, ${kind}, ${length} bytes: ${figure(sample.rate)} messages/s`);
      }
    }
  }
  return streams;
}

async function measureStream(browser, relay, kind, length) {
  const url = address(relay, kind);
  const pages = await open(browser, [url, url]);
  await Promise.all(pages.map((page) => page.evaluate(() => window.ready)));
  for (const page of pages) await page.evaluate((length) => window.talk.begin(length), length);
  const scripts = await Promise.all(pages.map(scriptTime));
  const before = await Promise.all(scripts.map((read) => read()));
  const { come, seconds } = await pages[0].evaluate(([length, time]) => window.talk.pour(length, time), [length, MILLISECONDS]);
  const after = await Promise.all(scripts.map((read) => read()));
  await Promise.all(pages.map((page) => page.context().close()));
  const [sender, receiver] = [0, 1].map((index) => ((after[index] - before[index]) / come) * 1e6);
  return { rate: come / seconds, sender, receiver };
}

/** How to read the seconds that a page has spent in scripts. */
async function scriptTime(page) {
  const session = await page.context().newCDPSession(page);
  await session.send('Performance.enable');
  return async () => (await session.send('Performance.getMetrics')).metrics.find(({ name }) => name === 'ScriptDuration').value;
}

function address(relay, kind) {
  return `http://${relay.address}/${kind}.html?drive=${randomBytes(32).toString('hex')}`;
}
