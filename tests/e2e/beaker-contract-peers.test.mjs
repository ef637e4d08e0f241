// Beaker's contract as we keep it: peers, their ids, and who is told of them.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { converse, meet, newDrive, nextText, openPerson, personUrl, startBrowser } from './support/browser.mjs';
import { startRelay } from './support/relay.mjs';

const relay = await startRelay();
const browser = await startBrowser();
const stage = { browser, relay };

test('keep: join and watch return at once, whatever they are given', async (t) => {
  const person = await openPerson(t, browser, personUrl(relay, { drive: newDrive() }));
  person.expect(/\[beaker-peersockets\] (bad-topic|topic-too-long)/);
  const kinds = await person.evaluate(() => {
    const unspeakable = { toString() { throw new Error('no') } };
    const names = ['chat', '', undefined, null, 7, {}, [], Symbol('s'), unspeakable, Object.create(null), 'x'.repeat(100_000)];
    const topics = names.map((name) => beaker.peersockets.join(name));
    return [...topics, beaker.peersockets.watch(), beaker.peersockets.watch('more')].map((object) => [typeof object.addEventListener, typeof object.then]);
  });
  for (const kind of kinds) assert.deepEqual(kind, ['function', 'undefined']);
});

test('keep: ids are whole numbers from 1, in the order of arrival', async (t) => {
  const [first] = await meet(t, stage);
  const url = first.page.url();
  await openPerson(t, browser, url);
  await first.evaluate(() => joins.next());
  assert.deepEqual(await first.evaluate(() => joins.all.map(({ peerId }) => peerId)), [1, 2]);
});

test('keep: one number per remote, the same in join, message and leave', async (t) => {
  const [stays, goes, other] = await meet(t, stage, 3);
  await stays.evaluate(() => { window.messages = new Arrivals(beaker.peersockets.join('chat'), 'message') });
  const idOf = async (person) => {
    await person.evaluate(() => {
      const topic = beaker.peersockets.join('chat');
      for (const peerId of peerEvents.peers) topic.send(peerId, 'from me');
    });
    return stays.evaluate(async () => (await messages.next()).peerId);
  };
  await other.evaluate(() => beaker.peersockets.join('chat'));
  const [going, staying] = [await idOf(goes), await idOf(other)];
  assert.deepEqual([going, staying].sort(), await stays.evaluate(() => joins.all.map(({ peerId }) => peerId)));

  await goes.page.close();
  assert.equal(await stays.evaluate(async () => (await leaves.next()).peerId), going);
});

test('keep: a returning device keeps its id, and its old id works again', async (t) => {
  const [stays, returns] = await meet(t, stage);
  await meetAnother(t, stays);
  await returns.evaluate(() => {
    window.messages = new Arrivals(beaker.peersockets.join('chat'), 'message');
    window.dispatchEvent(new PageTransitionEvent('pagehide', { persisted: true }));
  });
  const left = await stays.evaluate(async () => (await leaves.next()).peerId);
  await returns.evaluate(() => window.dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true })));
  assert.equal(await stays.evaluate(async () => (await joins.next()).peerId), left);

  await stays.evaluate((peerId) => beaker.peersockets.join('chat').send(peerId, 'welcome back'), left);
  assert.equal(await nextText(returns), 'welcome back');
});

test('keep: existing peers are replayed to every watch, after it returned', async (t) => {
  const [person] = await meet(t, stage, 3);
  const replays = await person.evaluate(async () => {
    const replays = [];
    for (let time = 0; time < 2; time += 1) {
      const watch = beaker.peersockets.watch();
      const early = watch.peers;
      replays.push({ early, ids: (await new Arrivals(watch, 'join').take(2)).map(({ peerId }) => peerId) });
    }
    return replays;
  });
  assert.deepEqual(replays, Array(2).fill({ early: [], ids: [1, 2] }));
});

test('keep: a watch that closed hears nothing more, and other watches do', async (t) => {
  const [person] = await meet(t, stage);
  await person.evaluate(() => {
    const watch = beaker.peersockets.watch();
    window.closedHandle = new Arrivals(watch, 'join');
    watch.close();
  });
  await meetAnother(t, person);
  assert.deepEqual(await person.evaluate(() => closedHandle.all), []);
});

test('keep: send to an unknown or nonsense peer id is a silent no-op', async (t) => {
  const [sender, receiver] = await converse(t, stage);
  const returned = await sender.evaluate(() => {
    const nobodies = [
      2, 99, 0, -0, -1, 1.5, NaN, Infinity, 2 ** 32 - 1, 2 ** 32, 2 ** 32 + 1, 2 ** 53, -(2 ** 53), Number.MAX_VALUE,
      'x', '', ' 1', '1 ', '1.0', '0x1', '-1', '99999999999999999999', {}, [], [[]], null, undefined, true, 1n, Symbol('1'), () => 1,
      { valueOf: () => 1 }, { toString() { throw new Error('no') } }, Object.create(null),
    ];
    const returned = nobodies.map((peerId) => chat.send(peerId, 'to nobody'));
    chat.send(1, 'to you');
    return returned.filter((value) => value !== undefined);
  });
  assert.deepEqual(returned, []);
  assert.equal(await nextText(receiver), 'to you');
});

test('keep: a peer id may be given as its digits', async (t) => {
  const [sender, receiver] = await converse(t, stage);
  await sender.evaluate(() => chat.send('1', 'by digits'));
  assert.equal(await nextText(receiver), 'by digits');
});

test('keep: send to a peer that left is a silent no-op', async (t) => {
  const [sender, goes] = await meet(t, stage);
  const { peer: stays, peerId } = await meetAnother(t, sender);
  await stays.evaluate(() => { window.messages = new Arrivals(beaker.peersockets.join('chat'), 'message') });
  await goes.page.close();
  const left = await sender.evaluate(async () => (await leaves.next()).peerId);
  const returned = await sender.evaluate(([left, peerId]) => {
    const topic = beaker.peersockets.join('chat');
    return [topic.send(left, 'too late'), topic.send(peerId, 'still here')];
  }, [left, peerId]);
  assert.deepEqual(returned, [undefined, undefined]);
  assert.equal(await nextText(stays), 'still here');
});

test('keep: no echo: nobody is a peer of itself or hears what it sends', async (t) => {
  const [sender, receiver] = await converse(t, stage);
  await receiver.evaluate(() => chat.addEventListener('message', ({ peerId }) => chat.send(peerId, 'answer')));
  const heard = await sender.evaluate(async () => {
    for (const peerId of [0, 1, 2]) chat.send(peerId, 'question');
    await messages.next();
    return messages.all.map(({ message }) => text(message));
  });
  assert.deepEqual(heard, ['answer']);
  assert.deepEqual(await sender.evaluate(() => peerEvents.peers), [1]);
});

// Beaker delivered nothing to a browser's own tabs: a peer was a device. Tabs do not share a device here yet: each is its own peer.
test('own tabs: until tabs share a device, two tabs of one browser are two peers', async (t) => {
  const person = await openPerson(t, browser, personUrl(relay, { drive: newDrive() }));
  const tab = await person.context.newPage();
  await tab.goto(person.page.url());
  assert.equal(await person.evaluate(async () => (await joins.next()).peerId), 1);
  assert.equal(await person.evaluate(async () => (await joins.next()).peerId, undefined, tab), 1);
});

/** Somebody new comes to the drive of somebody who waited for all that are there: the new person, and the id it has there. */
async function meetAnother(t, person) {
  const peer = await openPerson(t, browser, person.page.url());
  const { peerId } = await person.evaluate(() => joins.next());
  return { peer, peerId };
}
