// A member of a room that is no page: it speaks to the real relay as a test tells it.

import { once } from 'node:events';
import { after } from 'node:test';
import WebSocket from 'ws';
import { FrameLog, frame, kind } from './relay-frames.mjs';

/** Joins the room with this id. Resolves when the relay welcomed it; it leaves with the test file. */
export async function joinRoom(relay, rendezvousId) {
  const socket = new WebSocket(relay.relayUrl, 'peersockets.relay.v1', { perMessageDeflate: false });
  after(() => socket.terminate());
  const frames = new FrameLog();
  socket.on('message', (bytes) => frames.add('relay', bytes));
  await once(socket, 'open');
  socket.send(frame(kind.join, rendezvousId));
  await frames.first(({ kind: is }) => is === kind.welcome);
  return { frames, send: (bytes) => socket.send(bytes) };
}
