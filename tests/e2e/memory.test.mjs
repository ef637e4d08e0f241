// What a page costs after very many messages: no more than after a few.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newDrive, openPerson, personUrl, startBrowser } from './support/browser.mjs';
import { startRelay } from './support/relay.mjs';

/** Messages through each page, and how many of them before its memory is looked at first. `npm test -- --long` sends a million. */
const COUNT = Number(process.env.TEST_MESSAGES ?? 200_000);
const WARM_UP = 20_000;
const BYTES = 100;
/** Heap that JavaScript may have gained, as a part of what it had. */
const GAIN = 0.1;

const browser = await startBrowser();
const relay = await startRelay();

test(`${COUNT} messages leave no memory behind, in the page that sends them and in the one that gets them`, { timeout: 600_000 }, async (t) => {
  const url = personUrl(relay, { drive: newDrive() });
  const people = [];
  for (const role of ['sender', 'receiver']) {
    const person = await openPerson(t, browser);
    await person.page.addInitScript(rememberMemory);
    await person.page.goto(url);
    await person.evaluate(prepare);
    people.push({ role, person, session: await person.context.newCDPSession(person.page) });
  }
  const [sender, receiver] = people.map(({ person }) => person);
  await Promise.all([sender, receiver].map((person) => person.evaluate(() => joins.next())));

  const talk = async (from, to) => {
    for (let number = from; number < to; number += WARM_UP) {
      await Promise.all([
        sender.evaluate(({ number, count, bytes }) => sendMessages(number, count, bytes), { number, count: WARM_UP, bytes: BYTES }),
        receiver.evaluate((count) => reached(count), number + WARM_UP),
      ]);
    }
    await sender.evaluate(() => confirmed(0));
  };
  await talk(0, WARM_UP);
  const before = await Promise.all(people.map(memoryOf));
  await talk(WARM_UP, COUNT);
  const after = await Promise.all(people.map(memoryOf));
  t.diagnostic(JSON.stringify({ before, after }));

  assert.equal(await receiver.evaluate(() => received), COUNT, 'each once, in order');
  for (const [index, { role }] of people.entries()) {
    assert.equal(after[index].pages, before[index].pages, `WebAssembly pages of the ${role}`);
    const gained = after[index].heap / before[index].heap - 1;
    assert.ok(gained <= GAIN, `the heap of the ${role} has grown by ${Math.round(gained * 100)} %`);
  }
});

/** Pages of WebAssembly, and bytes of JavaScript's heap that are in use. */
async function memoryOf({ person, session }) {
  await session.send('HeapProfiler.collectGarbage');
  const { usedSize } = await session.send('Runtime.getHeapUsage');
  return { pages: await person.evaluate(() => wasmMemory.buffer.byteLength / 65_536), heap: usedSize };
}

/** In a page, before anything else: keeps the memory of the WebAssembly that it loads. */
function rememberMemory() {
  for (const name of ['instantiate', 'instantiateStreaming']) {
    const original = WebAssembly[name];
    WebAssembly[name] = async (...parameters) => {
      const result = await original.apply(WebAssembly, parameters);
      window.wasmMemory = Object.values((result.instance ?? result).exports).find((value) => value instanceof WebAssembly.Memory);
      return result;
    };
  }
}

/** In a page: counts the messages that come in their order, and can send. */
function prepare() {
  window.chat = beaker.peersockets.join('chat');
  window.received = 0;
  window.wake = () => {};
  chat.addEventListener('message', ({ message }) => {
    if (new DataView(message.buffer, message.byteOffset).getUint32(0) !== received) throw new Error(`a message is not number ${received}`);
    window.received += 1;
    wake();
  });
  const until = async (isTrue) => {
    while (!isTrue()) await new Promise((resolve) => { window.wake = resolve; });
  };
  window.reached = (count) => until(() => received >= count);
  window.sendMessages = async (first, count, bytes) => {
    const message = new Uint8Array(bytes);
    for (let number = first; number < first + count; number += 1) {
      // So few at a time that the most that ever waits does not depend on how fast the machine is.
      if (number % 1_000 === 0) await confirmed(100 * bytes);
      new DataView(message.buffer).setUint32(0, number);
      chat.send(1, message);
    }
  };
  window.confirmed = async (rest) => {
    while (chat.bufferedAmount() > rest) await new Promise((resolve) => setTimeout(resolve, 1));
  };
}
