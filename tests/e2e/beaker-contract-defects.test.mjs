// What Beaker got wrong, and this package does not copy.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { converse, meet, newDrive, nextText, openPerson, personUrl, startBrowser } from './support/browser.mjs';
import { startRelay } from './support/relay.mjs';

/** Handles that a page may hold at once. */
const HANDLES = 4_096;

const relay = await startRelay();
const browser = await startBrowser();
const stage = { browser, relay };

test('not copied: sends before join completes are lost; they are queued', async (t) => {
  const host = await openPerson(t, browser, personUrl(relay, { drive: newDrive() }));
  await host.evaluate(() => { window.messages = new Arrivals(beaker.peersockets.join('chat'), 'message') });
  await openPerson(t, browser, host.page.url().replace('person.html', 'early.html'));
  assert.equal(await nextText(host), 'before anything is loaded');
});

test('not copied: an early close leaks the topic', async (t) => {
  const [person] = await meet(t, stage);
  const error = await person.evaluate(async () => {
    const errors = new Arrivals(beaker.peersockets, 'error');
    for (let count = 0; count < 200; count += 1) beaker.peersockets.join(`topic ${count}`).close();
    for (let count = 0; count < 129; count += 1) beaker.peersockets.join(`open topic ${count}`);
    const { code, topic } = await errors.next();
    return { code, topic, errors: errors.all.length };
  });
  // One topic is beyond the limit, and it is the last one: none of the closed ones counts.
  assert.deepEqual(error, { code: 'too-many-topics', topic: 'open topic 128', errors: 1 });
});

test('not copied: a topic stalls after an unknown id', async (t) => {
  const [sender, receiver] = await converse(t, stage);
  await sender.evaluate(() => {
    chat.send(99, 'to nobody');
    chat.send(1, 'goes on');
  });
  assert.equal(await nextText(receiver), 'goes on');
});

test('not copied: the id of a peer differs between watches, join and message', async (t) => {
  const [sender, receiver] = await converse(t, stage);
  await sender.evaluate(() => chat.send(1, 'who am I?'));
  const ids = await receiver.evaluate(async () => {
    const again = new Arrivals(beaker.peersockets.watch(), 'join');
    const { peerId } = await messages.next();
    return [joins.all[0].peerId, peerId, (await again.next()).peerId];
  });
  assert.deepEqual(ids, [1, 1, 1]);
});

test('not copied: a peer that was there before watch() never leaves', async (t) => {
  const [stays, goes] = await meet(t, stage);
  await stays.evaluate(async () => {
    const watch = beaker.peersockets.watch();
    window.lateLeaves = new Arrivals(watch, 'leave');
    await new Arrivals(watch, 'join').next();
  });
  await goes.page.close();
  assert.equal(await stays.evaluate(async () => (await lateLeaves.next()).peerId), 1);
  assert.deepEqual(await stays.evaluate(() => peerEvents.peers), []);
});

test('not copied: watch().close() leaks', async (t) => {
  const [person] = await meet(t, stage);
  const errors = await person.evaluate(async (limit) => {
    const errors = new Arrivals(beaker.peersockets, 'error');
    for (let count = 0; count < 2 * limit; count += 1) beaker.peersockets.watch().close();
    await new Arrivals(beaker.peersockets.watch(), 'join').next();
    const before = errors.all.length;
    for (let count = 0; count < limit; count += 1) beaker.peersockets.watch();
    return [before, (await errors.next()).code];
  }, HANDLES);
  assert.deepEqual(errors, [0, 'too-many-handles']);
});

test('not copied: a topic stalls after a message that is none; the error says what it was', async (t) => {
  const [sender, receiver] = await converse(t, stage);
  const errors = await sender.evaluate(async () => {
    const errors = new Arrivals(chat, 'error');
    const transferred = new Uint8Array(8);
    structuredClone(transferred.buffer, { transfer: [transferred.buffer] });
    const none = [{ plain: 'object' }, [1, 2], null, undefined, 7, true, 1n, Symbol('s'), () => {}, transferred];
    const returned = none.map((message) => chat.send(1, message));
    chat.send(1, 'goes on');
    const events = await errors.take(none.length);
    return events.map(({ code, peerId, topic, message }, index) => [code, peerId, topic, Object.is(message, none[index]), returned[index]]);
  });
  assert.deepEqual(errors, Array(10).fill(['bad-message', 1, 'chat', true, undefined]));
  assert.equal(await nextText(receiver), 'goes on');
});

test('not copied: a typed array is truncated to a byte per element, a DataView to nothing', async (t) => {
  const [sender, receiver] = await converse(t, stage);
  await sender.evaluate(() => {
    chat.send(1, new Float32Array([1.5, 300]));
    chat.send(1, new DataView(new Uint8Array([7, 8]).buffer));
  });
  const next = () => receiver.evaluate(async () => [...(await messages.next()).message]);
  assert.deepEqual(await next(), [...new Uint8Array(new Float32Array([1.5, 300]).buffer)]);
  assert.deepEqual(await next(), [7, 8]);
});

test('not copied: a crash on a message that meets a peer on its way out', async (t) => {
  const [sender, goes, stays] = await meet(t, stage, 3);
  await stays.evaluate(() => { window.messages = new Arrivals(beaker.peersockets.join('chat'), 'message') });
  await sender.evaluate(() => {
    const chat = beaker.peersockets.join('chat');
    // Many while it leaves, some in the very moment that says so, and one after.
    for (let count = 0; count < 1_000; count += 1) chat.send(1, `${count}`), chat.send(2, `${count}`);
    peerEvents.addEventListener('leave', ({ peerId }) => {
      chat.send(peerId, 'in its leave');
      for (const peer of peerEvents.peers) chat.send(peer, 'after it left');
      setTimeout(() => chat.send(peerId, 'later'));
    });
  });
  await goes.page.close();
  const all = await stays.evaluate(async () => (await messages.take(1_001)).map(({ message }) => text(message)));
  assert.deepEqual(all, [...Array.from({ length: 1_000 }, (_, count) => `${count}`), 'after it left']);
});

test('not copied: a listener that throws starves the others', async (t) => {
  const [sender, receiver] = await meet(t, stage);
  receiver.expect(/boom/);
  await receiver.evaluate(() => {
    const chat = beaker.peersockets.join('chat');
    chat.addEventListener('message', () => { throw new Error('boom') });
    chat.addEventListener('message', { handleEvent() { throw new Error('boom') } });
    window.reported = new Arrivals(window, 'error');
    window.messages = new Arrivals(chat, 'message');
    window.others = new Arrivals(beaker.peersockets.join('chat'), 'message');
  });
  await sender.evaluate(() => {
    const chat = beaker.peersockets.join('chat');
    chat.send(1, 'one');
    chat.send(1, 'two');
  });
  const heard = await receiver.evaluate(async () => {
    const both = [await messages.take(2), await others.take(2)];
    return [...both.map((events) => events.map(({ message }) => text(message))), reported.all.length];
  });
  assert.deepEqual(heard, [['one', 'two'], ['one', 'two'], 4]);
});

test('not copied: removeEventListener does nothing', async (t) => {
  const [sender, receiver] = await converse(t, stage);
  await receiver.evaluate(() => {
    window.calls = [];
    window.removed = () => calls.push('removed');
    window.object = { handleEvent: () => calls.push('object') };
    for (const listener of [removed, object]) chat.addEventListener('message', listener);
  });
  await sender.evaluate(() => chat.send(1, 'heard by both'));
  await receiver.evaluate(async () => {
    await messages.next();
    for (const listener of [removed, object]) chat.removeEventListener('message', listener);
  });
  await sender.evaluate(() => chat.send(1, 'heard by neither'));
  await receiver.evaluate(() => messages.next());
  assert.deepEqual(await receiver.evaluate(() => calls), ['removed', 'object']);
});

test('not copied: silent failure in an iframe of the same origin', async (t) => {
  const [outer, remote] = await meet(t, stage);
  await worksInFrame(outer, remote, (url) => { document.body.append(Object.assign(document.createElement('iframe'), { src: url })) });
});

test('not copied: silent failure in an iframe with srcdoc', async (t) => {
  const [outer, remote] = await meet(t, stage);
  await worksInFrame(outer, remote, (url) => {
    const drive = new URL(url).searchParams.get('hyperdrive');
    const srcdoc = `<!doctype html><meta name="hyperdrive" content="${drive}">
      <script src="/pkg/polyfill.global.js"></script><script src="/arrivals.js"></script>
      <script>var peerEvents = beaker.peersockets.watch(); var joins = new Arrivals(peerEvents, 'join')</script>`;
    document.body.append(Object.assign(document.createElement('iframe'), { srcdoc }));
  });
});

test('not copied: silent failure in a frame without origin; it says that no drive is named', async (t) => {
  const person = await openPerson(t, browser, personUrl(relay, { drive: newDrive() }));
  await person.evaluate(() => {
    const srcdoc = '<!doctype html><script src="/pkg/polyfill.global.js"></script>';
    document.body.append(Object.assign(document.createElement('iframe'), { sandbox: 'allow-scripts', srcdoc }));
  });
  const warning = await person.page.waitForEvent('console', (message) => message.text().startsWith('[beaker-peersockets]'));
  person.expect(/bad-drive/);
  assert.match(warning.text(), /bad-drive: no drive is named, and there is no page here with an origin to derive one from/);
});

/** A frame of `outer` is a peer of both pages, and messages pass both ways. */
async function worksInFrame(outer, remote, addFrame) {
  await outer.evaluate(addFrame, outer.page.url());
  const { peerId } = await remote.evaluate(() => joins.next());
  const frame = outer.page.frames().find((other) => other !== outer.page.mainFrame());
  await frame.evaluate(() => {
    const chat = beaker.peersockets.join('chat');
    chat.addEventListener('message', ({ peerId, message }) => chat.send(peerId, `the frame heard: ${text(message)}`));
  });
  assert.equal((await outer.evaluate(() => joins.take(2), undefined, frame)).length, 2);
  const answer = await remote.evaluate(async (peerId) => {
    const chat = beaker.peersockets.join('chat');
    const messages = new Arrivals(chat, 'message');
    chat.send(peerId, 'hello');
    return text((await messages.next()).message);
  }, peerId);
  assert.equal(answer, 'the frame heard: hello');
}
