// A device: it greets whoever joins, and notes when the first greeting came.

import { PeerSockets } from '/pkg/dist/index.js';
import { Talk } from './talk.js';

const drive = new URLSearchParams(location.search).get('drive');
// What is measured beside it is a WebSocket to the same relay; `bench/direct.mjs` measures the direct path.
const sockets = new PeerSockets({ drive, direct: false });
const talk = sockets.join('talk');
const greetings = sockets.join('greetings');

let peer;
window.ready = new Promise((resolve) => {
  sockets.watch().addEventListener('join', ({ peerId }) => {
    peer = peerId;
    greetings.send(peerId, 'hello');
    resolve();
  });
});
/** Milliseconds from the navigation to the first message. */
window.greeted = new Promise((resolve) => greetings.addEventListener('message', () => resolve(performance.now()), { once: true }));

window.talk = new Talk((message) => talk.send(peer, message));
talk.addEventListener('message', ({ message }) => window.talk.heard(message));
