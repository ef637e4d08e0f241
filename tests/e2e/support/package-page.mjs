// What people do in pages/package.html, which has the package and does nothing with it.

import { fileAt } from './web-server.mjs';

/** Opens the page as if a server on the Internet had it, over TLS. */
export async function visitSecurely({ page }) {
  await page.route('https://example.test/**', async (route) => {
    const { status, type, body } = await fileAt(new URL(route.request().url()).pathname);
    await route.fulfill({ status, contentType: type, body });
  });
  await page.goto('https://example.test/package.html');
}

/** Opens a drive and joins a topic in a page that has the package. */
export async function open(person, { url, ...options }, relay, topic) {
  await person.evaluate(({ url, options, relayUrl, topicName }) => {
    window.sockets = new PeerSockets({ drive: url, relays: [relayUrl], ...options });
    window.states = new Arrivals(sockets, 'state');
    window.peerEvents = sockets.watch();
    window.joins = new Arrivals(peerEvents, 'join');
    window.leaves = new Arrivals(peerEvents, 'leave');
    window.paths = new Arrivals(peerEvents, 'path');
    window.topic = sockets.join(topicName);
    window.messages = new Arrivals(window.topic, 'message');
  }, { url, options, relayUrl: relay.relayUrl, topicName: topic });
}

/** Sends texts, or arrays of bytes, to a peer; a text is repeated until it fills its size. */
export async function send(person, texts, sizes = [], peerId = 1) {
  await person.evaluate(({ texts, sizes, peerId }) => {
    for (const [index, words] of texts.entries()) {
      const bytes = typeof words === 'string' ? new TextEncoder().encode(words) : Uint8Array.from(words);
      const message = new Uint8Array(sizes[index] ?? bytes.length);
      for (let at = 0; at < message.length; at += bytes.length) message.set(bytes.subarray(0, message.length - at), at);
      topic.send(peerId, message);
    }
  }, { texts, sizes, peerId });
}

/** Makes a `PeerSockets` and joins the topic `errors`, in a page that has the package; every error is kept. */
export async function listen(person, options, frame) {
  await person.evaluate((options) => {
    window.sockets = new PeerSockets(options);
    window.topic = sockets.join('errors');
    window.states = new Arrivals(sockets, 'state');
    window.errors = new Arrivals(sockets, 'error');
  }, options, frame);
}

/** The next error: its code, what people read, and what it is about. */
export function nextError(person, frame) {
  return person.evaluate(async () => {
    const { code, url, topic, peerId, message, error } = await errors.next();
    return { code, text: error.message, url, topic, peerId, message: message instanceof Uint8Array ? text(message) : message };
  }, undefined, frame);
}

/** The package's lines in the console, up to now. */
export async function warnings(person) {
  const marker = `up to here ${Math.random()}`;
  await person.evaluate((line) => console.log(line), marker);
  await person.line(marker);
  return person.lines.filter((line) => line.startsWith('[beaker-peersockets]'));
}
