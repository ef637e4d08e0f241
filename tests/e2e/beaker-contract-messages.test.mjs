// Beaker's contract as we keep it: messages, topics, and the handles that join() returns.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { converse, newDrive, nextText, openPerson, personUrl, startBrowser } from './support/browser.mjs';
import { startRelay } from './support/relay.mjs';

const relay = await startRelay();
const browser = await startBrowser();
const stage = { browser, relay };

test('keep: messages are Uint8Array', async (t) => {
  const [sender, receiver] = await converse(t, stage);
  await sender.evaluate(() => chat.send(1, new Uint8Array([1, 2, 255])));
  const { name, bytes, whole } = await receiver.evaluate(async () => {
    const { message } = await messages.next();
    return { name: message.constructor === Uint8Array, bytes: [...message], whole: message.buffer.byteLength };
  });
  assert.deepEqual({ name, bytes, whole }, { name: true, bytes: [1, 2, 255], whole: 3 });
});

test('keep: a string is sent as UTF-8', async (t) => {
  const [sender, receiver] = await converse(t, stage);
  const string = 'naïve 😀 \u0000 \ud800';
  await sender.evaluate(() => chat.send(1, 'naïve 😀 \u0000 \ud800'));
  assert.deepEqual(await nextBytes(receiver), [...new TextEncoder().encode(string)]);
});

test('keep: an ArrayBuffer or any view is sent as its bytes, and only those', async (t) => {
  const [sender, receiver] = await converse(t, stage);
  await sender.evaluate(() => {
    const buffer = new Uint8Array([0, 1, 2, 3, 4, 5, 6, 7]).buffer;
    chat.send(1, buffer);
    chat.send(1, new DataView(buffer, 2, 3));
    chat.send(1, new Uint8Array(buffer, 4, 2));
    chat.send(1, new Float32Array([1.5, -2]));
    chat.send(1, new Uint16Array(buffer, 6));
  });
  const expected = [[0, 1, 2, 3, 4, 5, 6, 7], [2, 3, 4], [4, 5], [...new Uint8Array(new Float32Array([1.5, -2]).buffer)], [6, 7]];
  for (const bytes of expected) assert.deepEqual(await nextBytes(receiver), bytes);
});

test('keep: the bytes are those of the moment of send', async (t) => {
  const [sender, receiver] = await converse(t, stage);
  await sender.evaluate(() => {
    const buffer = new Uint8Array([1, 2, 3]);
    chat.send(1, buffer);
    buffer.fill(9);
  });
  assert.deepEqual(await nextBytes(receiver), [1, 2, 3]);
});

test('keep: empty messages are legal', async (t) => {
  const [sender, receiver] = await converse(t, stage);
  await sender.evaluate(() => {
    chat.send(1, new Uint8Array());
    chat.send(1, '');
    chat.send(1, 'end');
  });
  assert.deepEqual(await nextBytes(receiver), []);
  assert.deepEqual(await nextBytes(receiver), []);
  assert.equal(await nextText(receiver), 'end');
});

test('keep: first in first out per peer and topic, for small and large messages', async (t) => {
  const [sender, receiver] = await converse(t, stage);
  const sizes = [5, 300_000, 1, 70_000, 0, 1_000_000, 2];
  await sender.evaluate((sizes) => {
    for (const size of sizes) chat.send(1, new Uint8Array(size));
  }, sizes);
  const arrived = await receiver.evaluate(async (count) => (await messages.take(count)).map(({ message }) => message.byteLength), sizes.length);
  assert.deepEqual(arrived, sizes);
});

test('keep: a topic nobody joined is a silent drop, and nothing is kept for who joins it later', async (t) => {
  const [sender, receiver] = await converse(t, stage);
  await sender.evaluate(() => {
    beaker.peersockets.join('nobody').send(1, 'into the void');
    chat.send(1, 'after it');
  });
  assert.equal(await nextText(receiver), 'after it');
  await receiver.evaluate(() => { window.late = new Arrivals(beaker.peersockets.join('nobody'), 'message') });
  await sender.evaluate(() => beaker.peersockets.join('nobody').send(1, 'heard'));
  assert.deepEqual(await receiver.evaluate(async () => (await late.next(), late.all.map(({ message }) => text(message)))), ['heard']);
});

test('keep: topics do not mix, not even by case, space or normal form', async (t) => {
  const [sender, receiver] = await converse(t, stage);
  const names = ['chat', 'Chat', 'chat ', '', '\u00e9', 'e\u0301', 'a\u0000b', 'a'];
  await receiver.evaluate((names) => {
    window.topics = names.map((name) => new Arrivals(beaker.peersockets.join(name), 'message'));
  }, names);
  await sender.evaluate((names) => {
    for (const name of names) beaker.peersockets.join(name).send(1, `for ${JSON.stringify(name)}`);
  }, names);
  const heard = await receiver.evaluate(async () => {
    for (const topic of topics) await topic.next();
    return topics.map(({ all }) => all.map(({ message }) => text(message)));
  });
  assert.deepEqual(heard, names.map((name) => [`for ${JSON.stringify(name)}`]));
});

test('keep: topic is coerced with String()', async (t) => {
  const [sender, receiver] = await converse(t, stage);
  await receiver.evaluate(() => {
    window.topics = ['7', 'undefined', 'null', '[object Object]', '1,2'].map((name) => new Arrivals(beaker.peersockets.join(name), 'message'));
  });
  await sender.evaluate(() => {
    beaker.peersockets.join(7).send(1, 'seven');
    beaker.peersockets.join().send(1, 'undefined');
    beaker.peersockets.join(null).send(1, 'null');
    beaker.peersockets.join({}).send(1, 'object');
    beaker.peersockets.join([1, 2]).send(1, 'array');
  });
  const heard = await receiver.evaluate(() => Promise.all(topics.map(async (topic) => text((await topic.next()).message))));
  assert.deepEqual(heard, ['seven', 'undefined', 'null', 'object', 'array']);
});

test('keep: each handle gets each message, in its own copy', async (t) => {
  const [sender, receiver] = await converse(t, stage);
  await receiver.evaluate(() => {
    const other = beaker.peersockets.join('chat');
    window.others = new Arrivals(other, 'message');
    // Whoever writes into its message writes into nobody else's.
    other.addEventListener('message', ({ message }) => message.fill(0));
    window.lasts = new Arrivals(beaker.peersockets.join('chat'), 'message');
  });
  await sender.evaluate(() => chat.send(1, new Uint8Array([1, 2])));
  const heard = await receiver.evaluate(async () => {
    for (const handle of [messages, others, lasts]) await handle.next();
    return [messages, others, lasts].map(({ all }) => all.map(({ message }) => [...message]));
  });
  assert.deepEqual(heard, [[[1, 2]], [[0, 0]], [[1, 2]]]);
});

test('keep: close is local: the other handle of the topic goes on, and no event says so', async (t) => {
  const [sender, receiver] = await converse(t, stage);
  await receiver.evaluate(() => {
    const handle = beaker.peersockets.join('chat');
    window.closedHandle = new Arrivals(handle, 'message');
    window.closing = new Arrivals(handle, 'close');
    handle.close();
    handle.close();
  });
  await sender.evaluate(() => chat.send(1, 'to who is left'));
  assert.equal(await nextText(receiver), 'to who is left');
  assert.deepEqual(await receiver.evaluate(() => [closedHandle.all, closing.all]), [[], []]);
});

test('keep: send after close is a no-op', async (t) => {
  const [sender, receiver] = await converse(t, stage);
  await sender.evaluate(() => {
    const handle = beaker.peersockets.join('chat');
    handle.send(1, 'before');
    handle.close();
    handle.send(1, 'after');
    chat.send(1, 'marker');
  });
  assert.equal(await nextText(receiver), 'before');
  assert.equal(await nextText(receiver), 'marker');
});

test('send in the same tick as join', async (t) => {
  const [sender, receiver] = await converse(t, stage);
  await receiver.evaluate(() => { window.sudden = new Arrivals(beaker.peersockets.join('sudden'), 'message') });
  await sender.evaluate(() => beaker.peersockets.join('sudden').send(1, 'at once'));
  assert.equal(await receiver.evaluate(async () => text((await sudden.next()).message)), 'at once');
});

test('send and close of everything in one turn: the message arrives, then leave', async (t) => {
  const [sender, receiver] = await converse(t, stage);
  const heard = await listenUntilLeave(receiver);
  await sender.evaluate(() => {
    chat.send(1, 'last words');
    beaker.peersockets.close();
  });
  assert.deepEqual(await heard(), ['last words', 'leave']);
});

test('send in a pagehide listener that was added before the polyfill: the message arrives, then leave', async (t) => {
  const url = personUrl(relay, { drive: newDrive() });
  const [sender, receiver] = [await openPerson(t, browser), await openPerson(t, browser)];
  await sender.page.addInitScript(() => {
    window.addEventListener('pagehide', () => globalThis.beaker?.peersockets.join('chat').send(1, 'last words'));
  });
  await Promise.all([sender, receiver].map(({ page }) => page.goto(url)));
  await Promise.all([sender, receiver].map((person) => person.evaluate(() => joins.next())));
  const heard = await listenUntilLeave(receiver);
  await sender.page.goto(`${relay.url}/elsewhere.html`);
  assert.deepEqual(await heard(), ['last words', 'leave']);
});

test('close and re-join inside a message handler', async (t) => {
  const [sender, receiver] = await converse(t, stage);
  await receiver.evaluate(() => {
    // Each message is heard by the handle that the one before it joined.
    const listen = (generation) => {
      const handle = beaker.peersockets.join('again');
      handle.addEventListener('message', ({ peerId, message }) => {
        handle.close();
        listen(generation + 1).send(peerId, `${generation}: ${text(message)}`);
      });
      return handle;
    };
    listen(1);
  });
  const answers = await sender.evaluate(async () => {
    const again = beaker.peersockets.join('again');
    const answers = new Arrivals(again, 'message');
    for (const word of ['one', 'two', 'three']) again.send(1, word);
    return (await answers.take(3)).map(({ message }) => text(message));
  });
  assert.deepEqual(answers, ['1: one', '2: two', '3: three']);
});

function nextBytes(receiver) {
  return receiver.evaluate(async () => [...(await messages.next()).message]);
}

/** Listens from now on; gives what was heard on the topic `chat` up to the peer's leave, in its order. */
async function listenUntilLeave(person) {
  await person.evaluate(() => {
    const heard = [];
    beaker.peersockets.join('chat').addEventListener('message', ({ message }) => heard.push(text(message)));
    window.heardAll = new Promise((resolve) => {
      beaker.peersockets.watch().addEventListener('leave', () => resolve([...heard, 'leave']));
    });
  });
  return () => person.evaluate(() => heardAll);
}
