// Peers in two homes behind NATs: they meet at a relay, and connect directly where the servers that it announces help.

import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { SECRET, startCoturn, STUN, TURN } from './support/coturn.mjs';
import { NOWHERE, startInternet } from './support/internet.mjs';
import { meet, startRelayIn, untilDirect } from './support/people.mjs';

/** How long the tests may take together, in milliseconds. ICE gives up after 16 s on an idle machine. */
const TIMEOUT = 180_000;
/** What the console says when the relay is gone. */
const RELAY_IS_GONE = [/WebSocket connection to/, /Failed to load resource/, /^\[beaker-peersockets\] no-relay: /];
const DEAD_STUN = `stun:${NOWHERE}:3478`;

const [cone, symmetric] = await Promise.all(['cone', 'symmetric'].map(async (nat) => {
  const stage = await startInternet(nat);
  await startCoturn(stage.internet);
  return stage;
}));

describe('two peers', { concurrency: true, timeout: TIMEOUT }, () => {
  test('behind cone NATs are direct through the STUN server that the relay announces', async (t) => {
    const relay = await startRelayIn(cone, '--stun', STUN);
    const people = await meet(t, cone, relay);
    await Promise.all(people.map(untilDirect));
    await talkWithout(relay, people);
    for (const person of people) {
      assert.deepEqual(await pathsOf(person), ['direct']);
      assert.deepEqual(await serversOf(person), [[STUN]]);
      assert.equal(await isRelayed(person), false);
    }
  });

  test('behind symmetric NATs are direct through the TURN server that the relay announces', async (t) => {
    const relay = await startRelayIn(symmetric, '--stun', STUN, '--turn', TURN, '--turn-secret', await secretFile(t));
    const people = await meet(t, symmetric, relay);
    await Promise.all(people.map(untilDirect));
    await talkWithout(relay, people);
    for (const person of people) {
      assert.deepEqual(await pathsOf(person), ['direct']);
      assert.deepEqual(await serversOf(person), [[STUN, TURN]]);
      assert.equal(await isRelayed(person), true);
    }
  });

  test('stay on the relay that announces no server, when all that they tried has failed too', async (t) => {
    const people = await meet(t, cone, await startRelayIn(cone));
    await talk(people);
    await Promise.all(people.map(untilFailed));
    await talk(people);
    for (const person of people) {
      assert.deepEqual(await pathsOf(person), ['relay']);
      assert.deepEqual(await toldPaths(person), ['relay']);
      assert.deepEqual(await serversOf(person), [[]]);
    }
  });

  test('stay on the relay where one of them is not to be direct, and make no connection', async (t) => {
    const [hidden, ...others] = await meet(t, cone, await startRelayIn(cone, '--stun', STUN), [{ direct: false }, {}, {}]);
    // These two are as far along as the others would be.
    await Promise.all(others.map(untilDirect));
    await talk([hidden, ...others]);
    assert.deepEqual(await pathsOf(hidden), ['relay', 'relay']);
    assert.equal(await hidden.evaluate(() => connections.length), 0);
    for (const person of others) assert.deepEqual((await pathsOf(person)).sort(), ['direct', 'relay']);
  });

  test('hear each other at once where the STUN server of their pages answers nothing', async (t) => {
    const iceServers = [{ urls: DEAD_STUN }];
    const people = await meet(t, cone, await startRelayIn(cone, '--stun', STUN), [{ iceServers }, { iceServers }]);
    await talk(people);
    for (const person of people) assert.ok(!(await gatheringStates(person)).includes('complete'));
    // So it is too once their connections wait for that server, which Chromium does for 40 s.
    for (const person of people) await person.evaluate(() => connectionThat(({ iceGatheringState }) => iceGatheringState === 'gathering'));
    await talk(people);
    for (const person of people) {
      assert.deepEqual(await gatheringStates(person), ['gathering']);
      assert.deepEqual(await serversOf(person), [[DEAD_STUN]]);
    }
  });
});

/** A file with what coturn knows; it goes with the test. */
async function secretFile(t) {
  const directory = await mkdtemp(join(tmpdir(), 'peersockets-secret-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  const file = join(directory, 'turn-secret');
  await writeFile(file, SECRET, { mode: 0o600 });
  return file;
}

/** Each says something to all others, and hears what they say. */
async function talk(people) {
  await Promise.all(people.map((person, index) => person.evaluate((words) => {
    for (const { peerId } of sockets.stats().peers) topic.send(peerId, words);
  }, `from ${index}`)));
  for (const [index, person] of people.entries()) {
    const heard = await person.evaluate(async (count) => (await messages.take(count)).map(({ message }) => text(message)), people.length - 1);
    assert.deepEqual(heard.sort(), people.map((_, other) => `from ${other}`).filter((_, other) => other !== index));
  }
}

/** The same when the relay is gone: what they say finds another way. */
async function talkWithout(relay, people) {
  for (const person of people) person.expect(...RELAY_IS_GONE);
  await relay.kill();
  await talk(people);
}

/** Waits until nothing comes of a connection that somebody's page has made. */
function untilFailed({ page }) {
  return page.evaluate(() => connectionThat(({ connectionState }) => ['failed', 'closed'].includes(connectionState)));
}

/** How messages to each peer travel. */
function pathsOf(person) {
  return person.evaluate(() => sockets.stats().peers.map(({ path }) => path));
}

/** What somebody was told of that. */
function toldPaths(person) {
  return person.evaluate(() => paths.all.map(({ path }) => path));
}

/** What the connection of a page makes of STUN. One that was left behind for the other's offer is closed. */
function gatheringStates(person) {
  return person.evaluate(() => connections.filter(({ signalingState }) => signalingState !== 'closed').map(({ iceGatheringState }) => iceGatheringState));
}

/** The lists of servers that connections of a page were given, each once. */
function serversOf(person) {
  return person.evaluate(() => {
    const lists = connections.map((connection) => connection.getConfiguration().iceServers.flatMap(({ urls }) => urls));
    return [...new Set(lists.map((list) => list.join(' ')))].map((list) => list.split(' ').filter(Boolean));
  });
}

/** Whether a TURN server passes on what the connection of a page carries. */
function isRelayed(person) {
  return person.evaluate(() => {
    const { sctp } = connections.find(({ connectionState }) => connectionState === 'connected');
    const { local, remote } = sctp.transport.iceTransport.getSelectedCandidatePair();
    return [local, remote].some(({ type }) => type === 'relay');
  });
}
