// When a process with a drive that has closed its sockets may end.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { test } from 'node:test';
import { WebSocket } from 'ws';
import { startRecorder } from '../e2e/support/recorder.mjs';
import { startRelay } from '../e2e/support/relay.mjs';
import { openCopy, openDrive, openStore } from './support/drive-peer.mjs';
import { run, startNative } from './support/native.mjs';
import { patiently, until } from './support/patience.mjs';

/** Says how long the process lived on after `close` had resolved, in milliseconds. */
const CLOSE = `
  await sockets.close();
  const closed = performance.now();
  process.on('exit', () => console.log(Math.round(performance.now() - closed)));
`;
/** Far below the 5 s after which what is given up takes its end anyway. */
const AT_ONCE = 2_500;

test('the relay has heard the farewell when close() resolves', async (t) => {
  const recorder = await startRecorder(await startRelay());
  const { sockets } = startNative(t, await openDrive(await openStore(t), 0), { relays: recorder.relayUrl });
  await until(sockets, 'ready');
  const [client] = recorder.server.clients;
  assert.equal(client.readyState, WebSocket.OPEN);
  await patiently('end', sockets.close());
  assert.ok(client.readyState > WebSocket.OPEN, `the relay's end is in state ${client.readyState}`);
});

test('a relay that has stopped holds no process that has closed', async (t) => {
  const relay = await startRelay();
  const ended = run(t, `
    const sockets = connect(drive, { relays: '${relay.relayUrl}' });
    while (sockets.state !== 'ready') await next(sockets, 'state');
    process.kill(${relay.pid}, 'SIGSTOP');
    ${CLOSE}
  `);
  const lived = await ended.finally(() => process.kill(relay.pid, 'SIGCONT'));
  assert.ok(Number(lived) < AT_ONCE, `${lived} ms`);
});

test('finding out why a relay did not answer holds no process that has closed', async (t) => {
  // It takes no WebSocket, and leaves every question open.
  const asked = [];
  const server = createServer((_, response) => asked.push(once(response, 'close')));
  server.on('upgrade', (_, socket) => socket.destroy());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const lived = await run(t, `
    const fetched = new Promise((resolve) => {
      const { fetch } = globalThis;
      globalThis.fetch = (...parameters) => {
        resolve();
        return fetch(...parameters);
      };
    });
    const sockets = connect(drive, { relays: 'ws://127.0.0.1:${server.address().port}/relay' });
    await fetched;
    ${CLOSE}
  `);
  assert.ok(Number(lived) < AT_ONCE, `${lived} ms`);
  await patiently('end of the questions', Promise.all(asked));
});

test('the last words are waited for where a circuit takes none for a moment', async (t) => {
  const relay = await startRelay();
  const drive = await openDrive(await openStore(t), 0);
  const copy = await openCopy(t, drive.key);
  const added = once(drive.core, 'peer-add');
  const [near, far] = [drive, copy].map((drive) => startNative(t, drive, { relays: relay.relayUrl }));
  const [{ stream }] = await patiently('replication', added);
  const { peerId } = await near.joins.next();
  const long = 'good night '.repeat(5_000);
  stream.rawStream.cork();
  near.chat.send(peerId, long);
  const closed = near.sockets.close();
  // Far less than last words may take, and more than a few turns.
  setTimeout(() => stream.rawStream.uncork(), 100);
  await patiently('end', closed);
  assert.equal(await far.nextText(), long);
  await far.leaves.next();
});

test('a circuit that is over leaves no stream behind', async (t) => {
  const relay = await startRelay();
  const drive = await openDrive(await openStore(t), 0);
  const added = once(drive.core, 'peer-add');
  const [near, far] = [drive, await openCopy(t, drive.key)].map((drive) => startNative(t, drive, { relays: relay.relayUrl }));
  const [{ stream }] = await patiently('replication', added);
  const ended = once(stream, 'close');
  await far.sockets.close();
  await patiently('end of the stream', ended);
  await near.leaves.next();
});

test('the last words go out while the mux still pairs channels that the other end opened', async (t) => {
  const relay = await startRelay();
  const drive = await openDrive(await openStore(t), 0);
  const copy = await openCopy(t, drive.key);
  const added = [drive, copy].map(({ core }) => once(core, 'peer-add'));
  const [near, far] = [drive, copy].map((drive) => startNative(t, drive, { relays: relay.relayUrl }));
  const [[ours], [theirs]] = await patiently('replication', Promise.all(added));
  const { peerId } = await near.joins.next();
  // As a corestore that looks up many cores, but for ever.
  const asked = new Promise((resolve) => ours.stream.userData.pair({ protocol: 'cores' }, () => {
    resolve();
    return new Promise(() => {});
  }));
  const mux = theirs.stream.userData;
  mux.cork();
  for (const id of ['one', 'other']) mux.createChannel({ protocol: 'cores', id: Buffer.from(id) }).open();
  mux.uncork();
  await patiently('batch', asked);
  assert.equal(ours.stream.userData.corked, 1);
  near.chat.send(peerId, 'good night');
  await patiently('end', near.sockets.close());
  assert.equal(await far.nextText(), 'good night');
  await far.leaves.next();
});
