// Beaker's contract as we keep it: what events carry; and what its own small EventTarget could not do, and the DOM's can.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { converse, newDrive, nextText, openPerson, personUrl, startBrowser } from './support/browser.mjs';
import { startRelay } from './support/relay.mjs';

const relay = await startRelay();
const browser = await startBrowser();
const stage = { browser, relay };

test('keep: target and type on events', async (t) => {
  const [sender, receiver] = await converse(t, stage);
  await receiver.evaluate(() => {
    window.seen = [];
    const note = (name, object) => (event) => seen.push([name, event.type, event.target === object, event.currentTarget === object, event instanceof Event]);
    const watch = beaker.peersockets.watch();
    watch.addEventListener('join', note('join', watch));
    watch.addEventListener('leave', note('leave', watch));
    chat.addEventListener('message', note('message', chat));
  });
  await sender.evaluate(() => chat.send(1, 'hello'));
  await receiver.evaluate(() => messages.next());
  await sender.page.close();
  await receiver.evaluate(() => leaves.next());
  assert.deepEqual(await receiver.evaluate(() => seen), ['join', 'message', 'leave'].map((name) => [name, name, true, true, true]));
});

test('keep: {...event} has peerId and message, as Beaker\'s plain objects did', async (t) => {
  const [sender, receiver] = await converse(t, stage);
  await receiver.evaluate(() => {
    window.copies = [];
    const watch = beaker.peersockets.watch();
    watch.addEventListener('join', (event) => copies.push(['join', Object.entries({ ...event })]));
    watch.addEventListener('leave', (event) => copies.push(['leave', Object.entries({ ...event })]));
    chat.addEventListener('message', (event) => {
      const { peerId, message } = { ...event };
      copies.push(['message', [['keys', Object.keys(event).sort().join()], ['peerId', peerId], ['message', text(message)]]]);
    });
  });
  await sender.evaluate(() => chat.send(1, 'hello'));
  await receiver.evaluate(() => messages.next());
  await sender.page.close();
  await receiver.evaluate(() => leaves.next());
  const own = (entries) => entries.filter(([key]) => key !== 'isTrusted');
  const copies = (await receiver.evaluate(() => copies)).map(([name, entries]) => [name, own(entries)]);
  assert.deepEqual(copies, [
    ['join', [['peerId', 1]]],
    ['message', [['keys', 'isTrusted,message,peerId'], ['peerId', 1], ['message', 'hello']]],
    ['leave', [['peerId', 1]]],
  ]);
});

test('keep: listeners run in the order in which they were added', async (t) => {
  const [sender, receiver] = await converse(t, stage);
  await receiver.evaluate(() => {
    window.order = [];
    for (const name of ['first', 'second', 'third']) chat.addEventListener('message', () => order.push(name));
  });
  await sender.evaluate(() => chat.send(1, 'hello'));
  await receiver.evaluate(() => messages.next());
  assert.deepEqual(await receiver.evaluate(() => order), ['first', 'second', 'third']);
});

test('keep: an event that came while nobody listened is gone', async (t) => {
  const [sender, receiver] = await converse(t, stage);
  await receiver.evaluate(() => { window.silent = beaker.peersockets.join('silent') });
  await sender.evaluate(() => {
    window.silent = beaker.peersockets.join('silent');
    silent.send(1, 'unheard');
    chat.send(1, 'marker');
  });
  await receiver.evaluate(async () => {
    await messages.next();
    window.heard = new Arrivals(silent, 'message');
  });
  await sender.evaluate(() => silent.send(1, 'heard'));
  assert.equal(await receiver.evaluate(async () => text((await heard.next()).message)), 'heard');
});

test('listeners: once, signal, handleEvent, and a listener that was added twice', async (t) => {
  const [sender, receiver] = await converse(t, stage);
  await receiver.evaluate(() => {
    window.calls = { once: 0, aborted: 0, object: 0, twice: 0 };
    window.abort = new AbortController();
    const twice = () => { calls.twice += 1 };
    chat.addEventListener('message', () => { calls.once += 1 }, { once: true });
    chat.addEventListener('message', () => { calls.aborted += 1 }, { signal: abort.signal });
    chat.addEventListener('message', { handleEvent({ type }) { if (type === 'message') calls.object += 1 } });
    chat.addEventListener('message', twice);
    chat.addEventListener('message', twice);
    chat.addEventListener('message', null);
    chat.addEventListener('no such event', twice);
  });
  await sender.evaluate(() => chat.send(1, 'one'));
  await receiver.evaluate(async () => {
    await messages.next();
    abort.abort();
  });
  await sender.evaluate(() => chat.send(1, 'two'));
  await receiver.evaluate(() => messages.next());
  assert.deepEqual(await receiver.evaluate(() => calls), { once: 1, aborted: 1, object: 2, twice: 2 });
});

test('methods work when they were taken off their object', async (t) => {
  const [sender, receiver] = await converse(t, stage);
  await sender.evaluate(() => {
    const { join } = beaker.peersockets;
    const { send } = join('chat');
    send(1, 'taken off');
  });
  assert.equal(await nextText(receiver), 'taken off');
});

test('send inside a join handler reaches who came', async (t) => {
  const host = await openPerson(t, browser, personUrl(relay, { drive: newDrive() }));
  await host.evaluate(() => {
    const chat = beaker.peersockets.join('chat');
    beaker.peersockets.watch().addEventListener('join', ({ peerId }) => chat.send(peerId, 'welcome'));
  });
  const guest = await openPerson(t, browser, host.page.url().replace('person.html', 'early.html'));
  assert.equal(await nextText(guest), 'welcome');
});

test('join and watch inside a join handler work', async (t) => {
  const host = await openPerson(t, browser, personUrl(relay, { drive: newDrive() }));
  await host.evaluate(() => {
    window.inner = new Promise((resolve) => {
      peerEvents.addEventListener('join', ({ peerId }) => {
        window.chat = beaker.peersockets.join('chat');
        window.heard = new Arrivals(chat, 'message');
        chat.send(peerId, 'welcome');
        resolve(new Arrivals(beaker.peersockets.watch(), 'join').next());
      });
    });
  });
  const guest = await openPerson(t, browser, host.page.url().replace('person.html', 'early.html'));
  assert.equal(await nextText(guest), 'welcome');
  assert.equal((await host.evaluate(() => inner)).peerId, 1);
  await guest.evaluate(() => chat.send(1, 'thank you'));
  await host.evaluate(async () => { while (text((await heard.next()).message) !== 'thank you'); });
});

test('the end of everything inside a message handler: nothing more is heard, and the peer is told', async (t) => {
  const [sender, receiver] = await converse(t, stage);
  await receiver.evaluate(() => {
    window.closing = new Arrivals(beaker.peersockets, 'state');
    chat.addEventListener('message', () => beaker.peersockets.close());
  });
  await sender.evaluate(() => {
    for (const word of ['one', 'two', 'three']) chat.send(1, word);
  });
  await sender.evaluate(() => leaves.next());
  const { state, heard } = await receiver.evaluate(async () => ({
    state: (await closing.next()).state,
    heard: messages.all.map(({ message }) => text(message)),
  }));
  assert.deepEqual({ state, heard }, { state: 'closed', heard: ['one'] });
});
