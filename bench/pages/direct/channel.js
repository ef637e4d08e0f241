// A data channel and nothing else; the two descriptions are carried by whoever opened the pages.

import { Line } from './line.js';

/** Chromium takes no message over 256 KiB; those that come to more go in pieces, of the length that is fastest. */
const PIECE = 65_536;

const parameters = new URLSearchParams(location.search);
const [length, mark] = ['length', 'mark'].map((name) => Number(parameters.get(name)));

const connection = new RTCPeerConnection();
const channel = connection.createDataChannel('line', { negotiated: true, id: 0 });
channel.binaryType = 'arraybuffer';
channel.bufferedAmountLowThreshold = mark / 2;

const isFull = () => channel.bufferedAmount > mark;
const drained = () => new Promise((resolve) => channel.addEventListener('bufferedamountlow', resolve, { once: true }));

window.line = new Line({
  isFull,
  drained,
  send(message) {
    if (message.length > PIECE) return sendInPieces(message);
    channel.send(message);
  },
});

async function sendInPieces(message) {
  for (let start = 0; start < message.length; start += PIECE) {
    if (isFull()) await drained();
    channel.send(message.subarray(start, start + PIECE));
  }
}

let gathered = new Uint8Array(length);
let filled = 0;
channel.addEventListener('message', ({ data }) => {
  const piece = new Uint8Array(data);
  if (length <= PIECE || piece.length < PIECE) {
    window.line.heard(piece);
    return;
  }
  gathered.set(piece, filled);
  filled += piece.length;
  if (filled < length) return;
  window.line.heard(gathered);
  [gathered, filled] = [new Uint8Array(length), 0];
});

/** The channel is open. */
window.ready = new Promise((resolve) => channel.addEventListener('open', resolve));
window.offer = describe;
window.answer = async (offer) => {
  await connection.setRemoteDescription(offer);
  return describe();
};
window.accept = (answer) => connection.setRemoteDescription(answer);

/** Our description, with all candidates. */
async function describe() {
  const complete = new Promise((resolve) => {
    connection.addEventListener('icegatheringstatechange', () => { if (connection.iceGatheringState === 'complete') resolve(); });
  });
  await connection.setLocalDescription();
  await complete;
  return connection.localDescription.toJSON();
}
