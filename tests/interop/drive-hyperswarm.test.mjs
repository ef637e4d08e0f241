// Processes that find each other by Hyperswarm, on a DHT of this machine's own.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import createTestnet from 'hyperdht/testnet.js';
import Hyperswarm from 'hyperswarm';
import { startRelay } from '../e2e/support/relay.mjs';
import { joinChat, openCopy, openDrive, openStore, readFile } from './support/drive-peer.mjs';
import { startNative } from './support/native.mjs';
import { patiently } from './support/patience.mjs';

/** Swarms on a testnet that ends with the test. */
async function startSwarms(t, count) {
  const testnet = await createTestnet(3);
  const swarms = Array.from({ length: count }, () => new Hyperswarm({ dht: testnet.createNode() }));
  t.after(async () => {
    await Promise.all(swarms.map((swarm) => swarm.destroy()));
    await testnet.destroy();
  });
  return swarms;
}

/** Lets swarms meet at a drive. */
async function announce(drive, [first, ...others]) {
  await first.join(drive.discoveryKey, { server: true, client: false }).flushed();
  for (const swarm of others) swarm.join(drive.discoveryKey, { server: false, client: true });
}

test('processes that meet at a relay and by hyperswarm are one peer of each other, and stay peers without the relay', async (t) => {
  const relay = await startRelay();
  const ours = await openDrive(await openStore(t), 0);
  const theirs = await openCopy(t, ours.key);
  const swarms = await startSwarms(t, 2);
  const natives = [ours, theirs].map((drive, index) => {
    const native = startNative(t, drive, { relays: [relay.relayUrl], keyPair: swarms[index].keyPair });
    swarms[index].on('connection', (connection) => native.sockets.handle(connection));
    return native;
  });
  for (const { joins } of natives) assert.equal((await joins.next()).peerId, 1);
  // They have met at the relay, and speak there; now by hyperswarm too.
  await announce(ours, swarms);
  await patiently('connection', Promise.all(swarms.map((swarm) => once(swarm, 'connection'))));
  for (let number = 0; number < 100; number += 1) {
    for (const [from, to] of [natives, natives.toReversed()]) {
      from.chat.send(1, String(number));
      assert.equal(await to.nextText(), String(number));
    }
  }
  await ours.put('/file', 'by whatever way');
  assert.equal((await readFile(theirs, '/file')).toString(), 'by whatever way');
  for (const [index, { sockets, joins, leaves, errors }] of natives.entries()) {
    assert.equal(sockets.stats().peers[0].publicKey, swarms[1 - index].keyPair.publicKey.toString('hex'));
    assert.deepEqual([joins.rest, leaves.rest, errors.rest], [[], [], []]);
  }

  const [near, far] = natives;
  const going = relay.stop();
  for (let number = 0; number < 100; number += 1) near.chat.send(1, `meanwhile ${number}`);
  await going;
  near.chat.send(1, 'still here');
  for (let number = 0; number < 100; number += 1) assert.equal(await far.nextText(), `meanwhile ${number}`);
  assert.equal(await far.nextText(), 'still here');
  for (const { joins, leaves } of natives) assert.deepEqual([joins.rest, leaves.rest], [[], []]);
  assert.equal(far.sockets.stats().peers[0].path, 'direct');
});

test('a plain process on hyperswarm is a peer by its extension', async (t) => {
  const ours = await openDrive(await openStore(t), 0);
  const theirs = await openCopy(t, ours.key);
  const swarms = await startSwarms(t, 2);
  const near = startNative(t, ours, { keyPair: swarms[0].keyPair });
  swarms[0].on('connection', (connection) => near.sockets.handle(connection));
  swarms[1].on('connection', (connection) => theirs.replicate(connection));
  const { messages, send } = joinChat(theirs);
  await announce(ours, swarms);
  near.chat.send((await near.joins.next()).peerId, 'hello');
  const { bytes, peer } = await messages.next();
  assert.equal(bytes.toString(), 'hello');
  send(Buffer.from('hello too'), peer);
  assert.equal(await near.nextText(), 'hello too');
  await ours.put('/file', 'replicated');
  assert.equal((await readFile(theirs, '/file')).toString(), 'replicated');
  await swarms[1].destroy();
  await near.leaves.next();
});
