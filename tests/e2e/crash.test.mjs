// What becomes of a page whose WebAssembly traps where nobody called it.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newDrive, openPerson, startBrowser, untilDirect } from './support/browser.mjs';
import { startRelay } from './support/relay.mjs';

const browser = await startBrowser();
const relay = await startRelay();

for (const direct of [false, true]) {
  const whom = direct ? 'another device directly' : 'a relay';
  test(`a trap on hearing ${whom} is one error, the page leaves its room at once, and install() again works`, (t) => crash(t, { direct }));
}

async function crash(t, { direct }) {
  const [unlucky, other] = await Promise.all([1, 2].map(() => openPerson(t, browser, `${relay.url}/package.html`)));
  await unlucky.evaluate(() => {
    window.connections = [];
    window.RTCPeerConnection = class extends RTCPeerConnection {
      constructor(...parameters) {
        super(...parameters);
        connections.push(this);
      }
    };
  });
  const options = { drive: newDrive(), relays: [relay.relayUrl], direct };
  for (const person of [unlucky, other]) {
    await person.evaluate((options) => {
      window.start = () => {
        window.sockets = install(options);
        window.errors = new Arrivals(sockets, 'error');
        window.states = new Arrivals(sockets, 'state');
        const peerEvents = sockets.watch();
        window.joins = new Arrivals(peerEvents, 'join');
        window.leaves = new Arrivals(peerEvents, 'leave');
        window.chat = sockets.join('chat');
        window.messages = new Arrivals(chat, 'message');
      };
      start();
    }, options);
  }
  for (const person of [unlucky, other]) await person.evaluate(() => joins.next());
  if (direct) await Promise.all([unlucky, other].map(untilDirect));
  await unlucky.evaluate(() => {
    window.uncaught = [];
    addEventListener('error', ({ message }) => uncaught.push(message));
    addEventListener('unhandledrejection', ({ reason }) => uncaught.push(String(reason)));
    // A real trap can't be had on demand: whatever is thrown through Rust leaves it as one does.
    const now = performance.now.bind(performance);
    performance.now = () => {
      if (!new Error().stack.includes('wasm')) return now();
      performance.now = now;
      throw new WebAssembly.RuntimeError('unreachable');
    };
  });
  await other.evaluate(() => chat.send(1, 'hello'));
  await unlucky.evaluate(() => states.until('failed'));
  // A socket that is left open would be missed only when it does not answer, which it would go on doing.
  assert.equal(await other.evaluate(async () => (await leaves.next()).peerId), 1);
  const told = await unlucky.evaluate(async () => {
    const returned = new Arrivals(chat, 'error');
    chat.send(1, 'too late');
    const { code, message } = await returned.next();
    return { errors: errors.all.map(({ code }) => code), uncaught, returned: [code, text(message)] };
  });
  assert.deepEqual(told, { errors: ['crashed'], uncaught: [], returned: ['crashed', 'too late'] });
  const connections = await unlucky.evaluate(() => connections.map(({ connectionState }) => connectionState));
  assert.deepEqual([connections.length > 0, connections.every((state) => state === 'closed')], [direct, true]);
  await unlucky.evaluate(async () => {
    start();
    await joins.next();
  });
  await other.evaluate(async () => { chat.send((await joins.next()).peerId, 'hello again') });
  assert.equal(await unlucky.evaluate(async () => text((await messages.next()).message)), 'hello again');
}
