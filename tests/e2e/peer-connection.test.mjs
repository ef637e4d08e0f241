// Direct connections as far as TypeScript goes: two ends in one page, in real browsers, without Rust.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openPerson, startBrowser } from './support/browser.mjs';
import { startFirefox } from './support/firefox.mjs';
import { startWebServer } from './support/web-server.mjs';

const server = await startWebServer();
const chromium = await startBrowser();
const firefox = await startFirefox();

for (const [name, browser] of [['Chromium', chromium], ['Firefox', firefox]]) {
  test(`two ends connect through what they tell each other, and pass bytes and text both ways: ${name}`, async (t) => {
    const person = await visit(t, browser);
    assert.deepEqual(await person.evaluate(async () => {
      const [one, other] = await connect();
      const connected = await Promise.all([one.next('connectivity'), other.next('connectivity')]);
      const passed = [];
      for (const size of [1, 16_384, 65_536]) passed.push(await passes(one, other, size), await passes(other, one, size));
      // No device of ours sends text; a remote may.
      one.connection.send('words');
      return { connected, passed, text: await other.next('message'), milestones: one.milestones };
    }), {
      connected: [0, 0], passed: Array(6).fill(true), text: 'words', milestones: ['opened', 'message', 'message', 'message'],
    });
  });

  test(`when both offer, the one that answers gives its offer up, and they connect: ${name}`, async (t) => {
    const person = await visit(t, browser);
    assert.deepEqual(await person.evaluate(async () => {
      const [one, other] = [new End(), new End()];
      one.connection.offer(false);
      other.connection.offer(false);
      const [offer] = await Promise.all([one.next('description'), other.next('description')]);
      other.connection.answer(offer);
      one.connection.accept(await other.next('description'));
      trickle(one, other);
      trickle(other, one);
      await Promise.all([one.next('opened'), other.next('opened')]);
      const passed = [await passes(one, other, 10), await passes(other, one, 10)];
      for (const { connection } of [one, other]) connection.close();
      await allClosed();
      return [passed, one.milestones, other.milestones];
    }), [[true, true], ['opened', 'message'], ['opened', 'message']]);
  });

  test(`when both offer to restart ICE on a live connection, it goes on: ${name}`, async (t) => {
    const person = await visit(t, browser);
    assert.deepEqual(await person.evaluate(async () => {
      const [one, other] = await connect();
      one.connection.offer(true);
      other.connection.offer(true);
      const [offer] = await Promise.all([one.next('description'), other.next('description')]);
      other.connection.answer(offer);
      one.connection.accept(await other.next('description'));
      return [await passes(one, other, 10), await passes(other, one, 10), one.milestones, other.milestones, made.length];
    }), [true, true, ['opened', 'message'], ['opened', 'message'], 2]);
  });

  test(`an offer that restarts ICE leaves the channel of a live connection open: ${name}`, async (t) => {
    const person = await visit(t, browser);
    assert.deepEqual(await person.evaluate(async () => {
      const [one, other] = await connect();
      const fragments = () => made.map(({ localDescription: { sdp } }) => /ice-ufrag:(\S+)/.exec(sdp)[1]);
      const before = fragments();
      await negotiate(other, one, true);
      const passed = [await passes(one, other, 10), await passes(other, one, 10)];
      return [passed, fragments().filter((fragment) => before.includes(fragment)), one.milestones, made.length];
    }), [[true, true], [], ['opened', 'message'], 2]);
  });

  test(`who closes is heard by the other after all that was sent, once, and hears nothing more: ${name}`, async (t) => {
    const person = await visit(t, browser);
    assert.deepEqual(await person.evaluate(async () => {
      const [one, other] = await connect();
      const before = one.story.length;
      for (let count = 0; count < 20; count += 1) one.connection.send(new Uint8Array(16_384));
      one.connection.close();
      one.connection.offer(true);
      other.connection.send(new Uint8Array(1));
      await other.next('closed');
      other.connection.close();
      await allClosed();
      return [one.story.length - before, other.milestones, other.connection.bufferedAmount];
    }), [0, ['opened', ...Array(20).fill('message'), 'closed'], 0]);
  });

  test(`a remote that does not close its half keeps no connection open: ${name}`, async (t) => {
    const person = await visit(t, browser);
    await person.evaluate(async () => {
      const [one] = await connect();
      RTCDataChannel.prototype.close = () => {};
      one.connection.close();
      while (made[0].connectionState !== 'closed') await new Promise((resolve) => setTimeout(resolve, 10));
    });
  });

  for (const [and, parts] of [['', 2], [' without its media id too', 1]]) {
    test(`a candidate right behind the description counts${and}, and one before any does no harm: ${name}`, async (t) => {
      const person = await visit(t, browser);
      assert.deepEqual(await person.evaluate(async (parts) => {
        const [one, other] = [new End(), new End()];
        one.connection.offer(false);
        const offer = await one.next('description');
        const candidate = await one.next('candidate');
        other.connection.candidate(...candidate);
        other.connection.candidate('nonsense');
        other.connection.answer(offer.replaceAll(/a=candidate.*\r\n/g, ''));
        other.connection.candidate(...candidate.slice(0, parts));
        // Of its own way the other one says nothing: only the candidate above can have brought them together.
        one.connection.accept((await other.next('description')).replaceAll(/a=candidate.*\r\n/g, ''));
        await Promise.all([one.next('opened'), other.next('opened')]);
        return [await passes(one, other, 10), await passes(other, one, 10), other.milestones];
      }, parts), [true, true, ['opened', 'message']]);
    });
  }

  test(`that most of what was sent has left is told: ${name}`, async (t) => {
    const person = await visit(t, browser);
    const [full, drained] = await person.evaluate(async () => {
      const [one] = await connect();
      for (let count = 0; count < 32; count += 1) one.connection.send(new Uint8Array(16_384));
      const full = one.connection.bufferedAmount;
      await one.next('drained');
      return [full, one.connection.bufferedAmount];
    });
    assert.ok(full > 262_144, `${full} bytes were in it`);
    assert.ok(drained <= 65_536, `${drained} bytes are in it`);
  });

  test(`when the lifeline is cut every connection is closed at once, and nothing is told any more: ${name}`, async (t) => {
    const person = await visit(t, browser);
    assert.deepEqual(await person.evaluate(async () => {
      const lifeline = new Lifeline(() => {});
      const [[one, other], beginning, closing] = [await connect(new End({ lifeline })), new End({ lifeline }), (await connect(new End({ lifeline })))[0]];
      beginning.connection.offer(false);
      await beginning.next('description');
      closing.connection.close();
      const before = [one, beginning].map(({ story }) => story.length);
      for (let count = 0; count < 5; count += 1) other.connection.send(new Uint8Array(1));
      lifeline.cut();
      const states = made.map(({ signalingState }) => signalingState);
      await other.next('closed');
      return { states, told: [one, beginning].map(({ story }, index) => story.length - before[index]) };
    }), { states: ['closed', 'stable', 'closed', 'closed', 'stable'], told: [0, 0] });
  });

  test(`an ICE server that is none costs nobody the others, and what the page names goes before what relays announce: ${name}`, async (t) => {
    const person = await visit(t, browser);
    assert.deepEqual(await person.evaluate(async () => {
      const announced = ['stun:a.test', '', '', 'nonsense', '', '', 'turn:b.test', 'name', 'secret', 'turn:nameless.test', '', ''];
      const urls = [];
      for (const iceServers of [undefined, [], [{ urls: ['stun:c.test'] }]]) {
        const lifeline = new Lifeline(() => {});
        lifeline.iceServers = iceServers;
        const end = new End({ lifeline, announced });
        end.connection.offer(false);
        await end.next('description');
        urls.push(made.at(-1).getConfiguration().iceServers.flatMap((server) => server.urls));
        end.connection.close();
      }
      return urls;
    }), [['stun:a.test', 'turn:b.test'], [], ['stun:c.test']]);
  });
}

test('the connection that Chromium has no room for is told as failed, and those that are there live on', async (t) => {
  const person = await visit(t, chromium);
  const count = await person.evaluate(async () => {
    const [one, other] = await connect();
    const ends = [];
    let failed = false;
    while (!failed && ends.length < 1_000) {
      const end = new End();
      ends.push(end);
      end.connection.offer(false);
      failed = await Promise.race([end.next('failed').then(() => true), end.next('description').then(() => false)]);
    }
    if (!failed || !await passes(one, other, 10) || !await passes(other, one, 10)) throw new Error('nobody failed, or the others with it');
    for (const { connection } of [...ends, one, other]) connection.close();
    await allClosed();
    return made.length;
  });
  assert.ok(count >= 400, `only ${count} connections`);
});

/** A page with the modules. */
async function visit(t, browser) {
  const person = await openPerson(t, browser, `${server.url}/peer-connection.html`);
  await person.evaluate(async () => {
    while (document.documentElement.id !== 'ready') await new Promise((resolve) => setTimeout(resolve, 10));
    window.allClosed = async () => {
      while (made.some(({ signalingState }) => signalingState !== 'closed')) await new Promise((resolve) => setTimeout(resolve, 10));
    };
  });
  return person;
}
