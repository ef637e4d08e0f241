// A peer of PeerJS with its default serialization; with a mark it looks at what waits, as few programs do.

import { Line } from './line.js';

const parameters = new URLSearchParams(location.search);
const mark = Number(parameters.get('mark') ?? Infinity);

// Without servers of its own, which cannot be reached from everywhere.
const peer = new window.peerjs.Peer({ host: '127.0.0.1', port: Number(parameters.get('port')), config: { iceServers: [] } });
let connection;

window.line = new Line({
  send: (message) => connection.send(message),
  isFull: () => connection.dataChannel.bufferedAmount > mark,
  drained: () => new Promise((resolve) => connection.dataChannel.addEventListener('bufferedamountlow', resolve, { once: true })),
});

/** Its id, once it has one. */
window.waiting = new Promise((resolve) => peer.on('open', resolve));
/** The connection is open; in milliseconds since the navigation. */
window.ready = new Promise((resolve) => {
  const use = (opened) => {
    connection = opened;
    connection.on('data', (data) => window.line.heard(bytesOf(data)));
    connection.on('open', () => {
      if (mark < Infinity) connection.dataChannel.bufferedAmountLowThreshold = mark / 2;
      resolve(performance.now());
    });
  };
  const to = parameters.get('to');
  if (to) peer.on('open', () => use(peer.connect(to, { reliable: true })));
  else peer.on('connection', use);
});

/** Long messages come as another type than short ones. */
function bytesOf(data) {
  return ArrayBuffer.isView(data) ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength) : new Uint8Array(data);
}
