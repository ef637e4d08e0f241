// Rooms of direct connections: everybody is connected to everybody, nothing is left of it afterwards, and whoever misbehaves hurts nobody else.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newDrive, startBrowser } from './support/browser.mjs';
import { begin, connectionsOf, converse, meetDirect, openDirect, until, untilTrue } from './support/direct.mjs';
import { startRelay } from './support/relay.mjs';

/** People in a full room. */
const PEOPLE = 6;
/** What somebody does who wants to harm, with each of its data channels and connections before its page has them; `harm()` counts. */
const spoilers = {
  'sends bytes that mean nothing': (channel, harm) => {
    channel.send = () => {
      for (let count = 0; count < 512; count += 1) RTCDataChannel.prototype.send.call(channel, crypto.getRandomValues(new Uint8Array(16_384)));
      harm();
    };
  },
  'sends messages that are too long': (channel, harm) => {
    channel.send = () => {
      for (let count = 0; count < 128; count += 1) RTCDataChannel.prototype.send.call(channel, new Uint8Array(65_536));
      harm();
    };
  },
  'sends text': (channel, harm) => {
    channel.send = () => {
      for (let count = 0; count < 512; count += 1) RTCDataChannel.prototype.send.call(channel, 'w'.repeat(16_384));
      harm();
    };
  },
  'stops reading once it is connected': (channel, harm) => {
    let read = 0;
    Object.defineProperty(channel, 'onmessage', {
      set: (listener) => channel.addEventListener('message', (event) => {
        read += 1;
        if (read <= 10) listener(event);
        else harm();
      }),
    });
  },
  'closes and comes again all the time': (channel, harm) => {
    channel.addEventListener('message', () => {
      harm();
      channel.close();
    }, { once: true });
  },
  'describes its connections falsely': (channel, harm, connection) => {
    const falsely = [
      () => 'words that mean nothing',
      (sdp) => sdp.slice(0, sdp.length / 2),
      (sdp) => sdp.replace(/a=fingerprint:.*/, 'a=fingerprint:sha-256 00'),
      (sdp) => sdp.replace(/a=setup:.*/, 'a=setup:nobody'),
      (sdp) => sdp.replace('m=application', 'm=video'),
      (sdp) => sdp + 'a=words\r\n'.repeat(1_000),
    ];
    Object.defineProperty(connection, 'localDescription', {
      get: () => {
        const description = Reflect.get(RTCPeerConnection.prototype, 'localDescription', connection);
        return description && { type: description.type, sdp: falsely[harm() % falsely.length](description.sdp) };
      },
    });
  },
  'has a browser that finds a thousand candidates, and comes again': (channel, harm, connection) => {
    Object.defineProperty(connection, 'onicecandidate', {
      set: (listener) => connection.addEventListener('icecandidate', (event) => {
        listener(event);
        for (let port = 1; port <= 1_000; port += 1) {
          const candidate = `candidate:${port} 1 udp ${port} 127.0.0.1 ${port} typ host generation 0`;
          listener({ candidate: { candidate: port % 3 ? candidate : candidate.replace('udp', 'w'.repeat(port)), sdpMid: '0' } });
        }
        harm();
      }),
    });
    channel.addEventListener('message', () => channel.close(), { once: true });
  },
  'opens other channels': (channel, harm, connection) => {
    channel.addEventListener('open', () => {
      for (let count = 0; count < 50; count += 1) {
        const other = Object.getPrototypeOf(RTCPeerConnection).prototype.createDataChannel.call(connection, `other ${count}`);
        other.onopen = () => other.send(new Uint8Array(16_384));
        other.onclose = harm;
      }
    });
  },
  'opens and closes hundreds of topics': (channel, harm) => {
    channel.addEventListener('open', () => {
      let count = 0;
      const timer = setInterval(() => {
        for (const end = count + 50; count < end; count += 1) {
          const topic = sockets.join(`topic ${count}`);
          for (const peerId of [1, 2]) topic.send(peerId, 'words');
          setTimeout(() => topic.close(), 40);
        }
        harm();
        if (count === 1_000) clearInterval(timer);
      }, 100);
    });
  },
};
/** How often it does so at least while two others talk, and how many messages each of them sends the other at a time, so often at least. */
const HARMS = 8;
const SHARE = 500;
const SHARES = 8;
/** Bytes that each of the others sends it, which are kept while it does not take them, and what memory may gain: far less than it floods them with. */
const SENT = 1_048_576;
const KEPT = 2 * 1_048_576;

/** Memory that a page may have gained, as a part of what it had. */
const GAIN = 0.1;

const browser = await startBrowser();
const relay = await startRelay();

test(`${PEOPLE} people are all directly connected, everybody hears everybody once, and nothing is left when they close`, { timeout: 300_000 }, async (t) => {
  const options = { relay, drive: newDrive() };
  const people = await meetDirect(t, browser, { pages: relay, ...options }, Array(PEOPLE).fill({}));
  await hearEachOther(people);
  const held = await Promise.all(people.map(connectionsHeld));
  await closeAll(people);
  const before = await Promise.all(people.map(memoryOf));
  await Promise.all(people.map((person) => begin(person, options)));
  await Promise.all(people.map((person) => person.evaluate((count) => joins.take(count), PEOPLE - 1)));
  await hearEachOther(people);
  await closeAll(people);
  const after = await Promise.all(people.map(memoryOf));
  t.diagnostic(JSON.stringify({ before, after, held }));
  for (const [index, person] of people.entries()) {
    assert.ok(held[index] >= PEOPLE - 1, `${held[index]} connections were held`);
    assert.equal(await connectionsHeld(person), 0);
    assert.ok(after[index] <= before[index] * (1 + GAIN), `memory has grown from ${before[index]} to ${after[index]} bytes`);
  }
});

for (const [what, spoil] of Object.entries(spoilers)) {
  test(`two people talk on, and keep their memory, while somebody in the room ${what}`, { timeout: 300_000 }, async (t) => {
    const options = { pages: relay, relay, drive: newDrive() };
    const people = await meetDirect(t, browser, options);
    await converse(people, { every: 50, bytes: 20_000 });
    for (const person of people) {
      await until(person, 'direct');
      await person.evaluate(() => { window.own = connections.find(({ connectionState }) => connectionState === 'connected'); });
    }
    const memory = await Promise.all(people.map(memoryOf));
    const before = `window.harms = 0; window.spoil = (channel, connection) => (${spoil})(channel, () => window.harms += 1, connection);`;
    const hostile = await openDirect(t, browser, { ...options, before });
    await Promise.all(people.map((person) => person.evaluate(() => joins.next())));
    let count = 0;
    for (let harms = 0; harms < HARMS || count < SHARES * SHARE; harms = await hostile.evaluate(() => harms)) {
      count += SHARE;
      const bytes = count <= SHARES * SHARE ? SENT / SHARES : 0;
      await Promise.all(people.map((person) => person.evaluate(({ share, count, bytes }) => {
        for (let sent = 0; sent < bytes; sent += 16_384) topic.send(2, new Uint8Array(16_384));
        window.allowed += share;
        return reached(count);
      }, { share: SHARE, count, bytes })));
    }
    for (const person of people) {
      assert.equal(await person.evaluate(() => numbers.findIndex((number, index) => number !== index)), -1, 'each once, in order');
      assert.equal(await person.evaluate(() => numbers.length), count);
      assert.deepEqual(await person.evaluate(() => leaves.all.filter(({ peerId }) => peerId === 1)), []);
      await until(person, 'direct');
      assert.equal(await person.evaluate(() => own.connectionState), 'connected', 'it is the same connection');
    }
    const after = await Promise.all(people.map(memoryOf));
    t.diagnostic(JSON.stringify({ before: memory, after, count }));
    for (const index of people.keys()) assert.ok(after[index] <= memory[index] + KEPT, `memory has grown from ${memory[index]} to ${after[index]} bytes`);
  });
}

/** Each of them is directly connected to all others, and sends them two messages; each gets all of those once, in order. */
async function hearEachOther(people) {
  const others = people.length - 1;
  const ids = Array.from({ length: others }, (_, index) => index + 1);
  await Promise.all(people.map((person) => until(person, 'direct', ids)));
  for (const words of ['one', 'two']) {
    await Promise.all(people.map((person) => person.evaluate((words) => { for (const peerId of peerEvents.peers) topic.send(peerId, words); }, words)));
    await Promise.all(people.map((person) => person.evaluate((count) => messages.take(count), others)));
  }
  for (const person of people) {
    assert.equal((await connectionsOf(person)).open, others);
    assert.equal(await person.evaluate(() => leaves.all.length), 0);
    const heard = await person.evaluate(() => messages.all.map(({ peerId, message }) => `${text(message)} ${peerId}`));
    assert.deepEqual(heard.sort(), ['one', 'two'].flatMap((words) => ids.map((id) => `${words} ${id}`)).sort());
  }
}

/** Each closes its `PeerSockets`, and keeps its page. All peer connections close, and the test lets go of them. */
async function closeAll(people) {
  await Promise.all(people.map((person) => person.evaluate(() => {
    sockets.close();
    for (const name of ['sockets', 'states', 'peerEvents', 'joins', 'leaves', 'topic', 'messages', 'paths']) delete window[name];
  })));
  for (const person of people) {
    await untilTrue(person, () => connections.every(({ connectionState }) => connectionState === 'closed'));
    await person.evaluate(() => { connections.length = 0; });
  }
}

/** How many peer connections are in a page's memory, after what nobody holds is gone. */
async function connectionsHeld(person) {
  const session = await person.context.newCDPSession(person.page);
  await session.send('HeapProfiler.collectGarbage');
  const { result: { objectId: prototypeObjectId } } = await session.send('Runtime.evaluate', { expression: 'RTCPeerConnection.prototype' });
  const { objects } = await session.send('Runtime.queryObjects', { prototypeObjectId });
  const parameters = { objectId: objects.objectId, functionDeclaration: 'function () { return this.length; }', returnByValue: true };
  const { result: { value } } = await session.send('Runtime.callFunctionOn', parameters);
  await session.detach();
  return value;
}

/** Bytes of JavaScript's heap that are in use, of its buffers, and of WebAssembly's memory, without the messages that the test keeps. */
async function memoryOf(person) {
  await person.evaluate(() => { if (window.messages) messages.all.length = 0; });
  const session = await person.context.newCDPSession(person.page);
  await session.send('HeapProfiler.collectGarbage');
  const { usedSize, backingStorageSize } = await session.send('Runtime.getHeapUsage');
  await session.detach();
  return usedSize + backingStorageSize + await person.evaluate(() => wasmMemory.buffer.byteLength);
}
