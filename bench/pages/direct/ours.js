// A device that sends as the package's README says: it stops above 1 MiB, and goes on at `drain`.

import { PeerSockets } from '/pkg/dist/index.js';
import { Line } from './line.js';

const FULL = 1024 * 1024;

const sockets = new PeerSockets({ drive: new URLSearchParams(location.search).get('drive') });
const topic = sockets.join('line');
const watch = sockets.watch();
let peer;

window.line = new Line({
  send: (message) => topic.send(peer, message),
  isFull: () => topic.bufferedAmount(peer) > FULL,
  drained: () => new Promise((resolve) => topic.addEventListener('drain', resolve, { once: true })),
});
topic.addEventListener('message', ({ message }) => window.line.heard(message));

/** In the room. */
window.waiting = new Promise((resolve) => {
  sockets.addEventListener('state', ({ state }) => { if (state === 'ready') resolve(); });
});
/** The other page is there. */
window.ready = new Promise((resolve) => {
  watch.addEventListener('join', ({ peerId }) => {
    peer = peerId;
    window.line.greet();
    resolve();
  });
});

/** How messages to the other page travel. */
window.path = () => sockets.stats().peers.find(({ peerId }) => peerId === peer)?.path ?? 'none';
/** Resolves when they travel directly. */
window.direct = async () => {
  await window.ready;
  if (window.path() === 'direct') return;
  await new Promise((resolve) => {
    watch.addEventListener('path', () => { if (window.path() === 'direct') resolve(); });
  });
};
