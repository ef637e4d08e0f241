// People in homes, whose pages have the package.

import { fileURLToPath } from 'node:url';
import { newDrive, openPersonIn } from '../../e2e/support/browser.mjs';
import { startRelay } from '../../e2e/support/relay.mjs';
import { SERVER } from './internet.mjs';

const connections = fileURLToPath(new URL('connections.js', import.meta.url));

/** A relay on a server of the Internet, with its pages. */
export function startRelayIn({ internet }, ...options) {
  return startRelay({ address: SERVER, enter: internet.enter, options: ['--public', ...options] });
}

/** People on a drive of their own, one for each of these options, in one home and the other by turns; each sees all others. */
export async function meet(t, { browsers }, relay, options = [{}, {}]) {
  const drive = newDrive();
  const people = await Promise.all(options.map((own, index) =>
    openPage(t, browsers[index % browsers.length], relay, { drive, relays: [relay.relayUrl], ...own })));
  await Promise.all(people.map((person) => person.evaluate((others) => joins.take(others), people.length - 1)));
  return people;
}

/** Waits until somebody is told that a peer is reached directly; ICE has its own idea of how long that takes. */
export function untilDirect({ page }) {
  return page.evaluate(async () => {
    while ((await paths.next()).path !== 'direct');
  });
}

async function openPage(t, browser, relay, options) {
  const context = await browser.newContext();
  await context.addInitScript({ path: connections });
  const person = await openPersonIn(t, context, `${relay.url}/package.html`);
  await person.evaluate((given) => {
    window.sockets = new PeerSockets(given);
    window.peerEvents = sockets.watch();
    window.joins = new Arrivals(peerEvents, 'join');
    window.leaves = new Arrivals(peerEvents, 'leave');
    window.paths = new Arrivals(peerEvents, 'path');
    window.topic = sockets.join('home');
    window.messages = new Arrivals(topic, 'message');
  }, options);
  return person;
}
