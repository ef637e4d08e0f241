// Two pages with a WebSocket each, and the relay between them passing on what they write: no peers, no encryption, no sessions.

import { Talk } from './talk.js';

const [JOIN, DIAL, DATA] = [1, 2, 3];
const [WELCOME, DIALED] = [1, 2];
const room = Uint8Array.from(new URLSearchParams(location.search).get('drive').match(/../g), (digits) => parseInt(digits, 16));

const socket = new WebSocket(`ws://${location.host}/relay`, 'peersockets.relay.v1');
socket.binaryType = 'arraybuffer';
socket.addEventListener('open', () => socket.send(Uint8Array.of(JOIN, ...room)));

let other;
window.ready = new Promise((resolve) => {
  socket.addEventListener('message', ({ data }) => {
    const frame = new Uint8Array(data);
    if (frame[0] === WELCOME) {
      // Behind the type all numbers are small; the last is that of the one who is there.
      if (frame.at(-1) > 0) {
        other = frame.at(-1);
        socket.send(Uint8Array.of(DIAL, other, 1));
        resolve();
      }
    } else if (frame[0] === DIALED) {
      other = frame[1];
      resolve();
    } else if (frame[0] === DATA) {
      window.talk.heard(frame.subarray(3));
    }
  });
});

window.talk = new Talk((message) => {
  const frame = new Uint8Array(3 + message.length);
  frame.set([DATA, other, 1]);
  frame.set(message, 3);
  socket.send(frame);
});
