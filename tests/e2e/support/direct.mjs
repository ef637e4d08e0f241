// People whose pages may connect directly, and what becomes of their peer connections.

import { openPerson } from './browser.mjs';
import { open } from './package-page.mjs';

/** What Chromium itself says when a relay is away. */
const CHROMIUM = [/^WebSocket connection to .* failed/, /^Failed to load resource: net::ERR_/];
/** Longest time that a direct connection may take to come, or to be missed, in milliseconds. */
const PATIENCE = 60_000;

/** Opens the page that has the package. What becomes of its peer connections is in `connections`. `before` runs in the page first. */
export async function visit(t, browser, { pages, before }) {
  const person = await openPerson(t, browser);
  person.expect(...CHROMIUM, /^\[beaker-peersockets\] no-relay: /);
  await person.page.addInitScript(recordConnections);
  if (before) await person.page.addInitScript(before);
  await person.page.goto(`${pages.url}/package.html`);
  return person;
}

/** Opens it and joins the topic `chat` there. */
export async function openDirect(t, browser, { pages, before, ...options }) {
  const person = await visit(t, browser, { pages, before });
  await begin(person, options);
  return person;
}

/** Makes the page's `PeerSockets`, and one more after it was closed. */
export async function begin(person, { relay, drive, ...options }) {
  await open(person, { url: drive, ...options }, relay, 'chat');
}

/** As many people as `others`, on one drive, each of whom sees all others; each of `others` is added to the options. */
export async function meetDirect(t, browser, options, others = [{}, {}]) {
  const people = await Promise.all(others.map((other) => openDirect(t, browser, { ...options, ...other })));
  await Promise.all(people.map((person) => person.evaluate((count) => joins.take(count), others.length - 1)));
  return people;
}

/** Waits until messages to all these peers travel in this way. */
export async function until(person, path, peerIds = [1]) {
  await untilTrue(person, ({ path, peerIds }) => {
    const { peers } = sockets.stats();
    return peerIds.every((id) => peers.find(({ peerId }) => peerId === id)?.path === path);
  }, { path, peerIds }).catch(async (cause) => {
    const paths = await person.evaluate(() => sockets.stats().peers.map(({ peerId, path }) => `${path} to ${peerId}`));
    throw new Error(`messages travel ${paths}, and not ${path} to ${peerIds}`, { cause });
  });
}

/** Waits until something is true in the page. */
export function untilTrue(person, isTrue, argument) {
  return person.page.waitForFunction(isTrue, argument, { polling: 20, timeout: PATIENCE });
}

/** How many peer connections the page made, and how many of them are not closed. */
export function connectionsOf(person) {
  return person.evaluate(() => ({
    made: connections.length,
    open: connections.filter(({ connectionState }) => connectionState !== 'closed').length,
  }));
}

/**
 * Lets two people send each other numbered messages, as many as `allowed` says in their pages, and keep the `numbers` that come. One of
 * `every` messages has `bytes` bytes.
 */
export function converse(people, long) {
  return Promise.all(people.map((person) => person.evaluate(talkAndListen, long)));
}

/** In a page: a few messages at a time, so that something is under way whatever happens. */
function talkAndListen({ every, bytes }) {
  Object.assign(window, { numbers: [], sent: 0, allowed: 0 });
  let wake = () => {};
  topic.addEventListener('message', ({ message }) => {
    numbers.push(Number(text(message)));
    wake();
  });
  window.reached = async (count) => {
    while (numbers.length < count) await new Promise((resolve) => { wake = resolve; });
  };
  setInterval(() => {
    for (const end = Math.min(sent + 10, allowed); sent < end; window.sent += 1) {
      topic.send(1, String(sent).padEnd(sent % every === 0 ? bytes : 1));
    }
  }, 10);
}

/**
 * In a page, before anything else: keeps every RTCPeerConnection, its data channel, the bytes that were sent there and the most that waited, and the memory of
 * the WebAssembly. What `window.spoil` does with a channel and its connection comes before anybody else has them.
 */
function recordConnections() {
  for (const name of ['instantiate', 'instantiateStreaming']) {
    const original = WebAssembly[name];
    WebAssembly[name] = async (...parameters) => {
      const result = await original.apply(WebAssembly, parameters);
      window.wasmMemory = Object.values((result.instance ?? result).exports).find((part) => part instanceof WebAssembly.Memory);
      return result;
    };
  }
  window.connections = [];
  window.RTCPeerConnection = class extends RTCPeerConnection {
    sent = 0;
    most = 0;

    constructor(...parameters) {
      super(...parameters);
      connections.push(this);
    }

    createDataChannel(...parameters) {
      const channel = super.createDataChannel(...parameters);
      channel.send = (message) => {
        this.sent += message.byteLength;
        RTCDataChannel.prototype.send.call(channel, message);
        this.most = Math.max(this.most, channel.bufferedAmount);
      };
      this.channel = channel;
      window.spoil?.(channel, this);
      return channel;
    }
  };
}
