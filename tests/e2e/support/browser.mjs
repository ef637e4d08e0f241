// Chromium, and the people who use it: each has a browser context, so that nothing but the relay is between two of them.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { chromium } from 'playwright-core';
import { systemCommand } from '../../../scripts/debian.mjs';

/** What Chromium is started with. */
export const FLAGS = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync',
];
/** Longest time that anything in a page may take before the test fails, in milliseconds. */
const PATIENCE = 20_000;

/** Starts a Chromium that ends with the test file; `options` go to Playwright's `launch`. */
export async function startBrowser(options = {}) {
  const browser = await chromium.launch({ executablePath: systemCommand('chromium'), args: FLAGS, ...options });
  after(() => browser.close());
  return browser;
}

/** A browser context of a Chromium of its own, whose user blocks cookies and with them all storage. It ends with the test file. */
export async function startBrowserWithoutStorage() {
  const profile = await mkdtemp(join(tmpdir(), 'peersockets-profile-'));
  await mkdir(join(profile, 'Default'));
  const BLOCK = 2;
  await writeFile(join(profile, 'Default/Preferences'), JSON.stringify({ profile: { default_content_setting_values: { cookies: BLOCK } } }));
  const context = await chromium.launchPersistentContext(profile, { executablePath: systemCommand('chromium'), args: FLAGS });
  after(async () => {
    await context.close();
    await rm(profile, { recursive: true, force: true });
  });
  return context;
}

/** A drive that no other test uses. */
export function newDrive() {
  return `hyper://${randomBytes(32).toString('hex')}`;
}

/**
 * The address of `pages/person.html` on this relay, for this drive; `relays` where they are not the page's own, and `direct: false` where
 * all is to go through them.
 */
export function personUrl(relay, { drive, relays = [], direct = true }) {
  const url = new URL('/person.html', relay.url);
  if (!direct) url.searchParams.append('direct', 'false');
  url.searchParams.append('hyperdrive', drive);
  for (const other of relays) url.searchParams.append('peersockets-relay', other.relayUrl);
  return url.href;
}

/** People on a drive of their own, each of whom sees all others; `browsers` where each has another one, `direct` as for {@link personUrl}. */
export async function meet(t, { browser, relay, browsers, direct }, count = 2) {
  const url = personUrl(relay, { drive: newDrive(), direct });
  const people = await Promise.all(Array.from({ length: count }, (_, index) => openPerson(t, browsers?.[index] ?? browser, url)));
  await Promise.all(people.map((person) => person.evaluate((others) => joins.take(others), count - 1)));
  return people;
}

/**
 * Two people who have joined the topic `chat` as `window.chat`, and keep its messages in `window.messages`. Each is peer 1 of the
 * other.
 */
export async function converse(t, stage) {
  const people = await meet(t, stage);
  for (const person of people) {
    await person.evaluate(() => {
      window.chat = beaker.peersockets.join('chat');
      window.messages = new Arrivals(chat, 'message');
    });
  }
  return people;
}

/** Waits until somebody's messages to all peers travel directly. */
export function untilDirect(person) {
  return person.evaluate(async () => {
    const paths = () => (window.sockets ?? beaker.peersockets).stats().peers.map(({ path }) => path);
    while (paths().length === 0 || paths().some((path) => path !== 'direct')) await new Promise(requestAnimationFrame);
  });
}

/** Sends as many random bytes to all others on a topic; gives size and SHA-256. */
export function sendRandom(person, topicName, size) {
  return person.evaluate(async ({ topicName, size }) => {
    const message = new Uint8Array(size);
    for (let start = 0; start < size; start += 65_536) crypto.getRandomValues(message.subarray(start, start + 65_536));
    const topic = beaker.peersockets.join(topicName);
    for (const peerId of peerEvents.peers) topic.send(peerId, message);
    return [size, await digest(message)];
  }, { topicName, size });
}

/** Size and SHA-256 of the next message in `window.messages`. */
export function nextDigest(person) {
  return person.evaluate(async () => {
    const { message } = await messages.next();
    return [message.byteLength, await digest(message)];
  });
}

/** Whom somebody saw join and leave, by id. */
export function peersSeen(person) {
  return person.evaluate(() => ({ joined: joins.all.map(({ peerId }) => peerId), left: leaves.all.map(({ peerId }) => peerId) }));
}

/** The text of the next message in `window.messages`. */
export function nextText(person) {
  return person.evaluate(async () => text((await messages.next()).message));
}

/**
 * Opens a page in a context of its own, which closes when the test ends. The test fails if the page complained of anything that
 * was not expected: an error in the console, an uncaught exception, a warning of the package.
 */
export async function openPerson(t, browser, url, contextOptions = {}) {
  return openPersonIn(t, await browser.newContext(contextOptions), url);
}

/** The same in a context that is there already, and closes when the test ends. */
export async function openPersonIn(t, context, url) {
  const person = new Person(context, await context.newPage());
  t.after(async () => {
    await context.close();
    assert.deepEqual(person.complaints, [], `the page ${url} complained`);
  });
  if (url) await person.page.goto(url);
  return person;
}

/** Somebody with a page open. */
export class Person {
  /** What the console and uncaught exceptions said, except what was expected. */
  complaints = [];
  /** All lines of the console. */
  lines = [];
  #expected = [];

  constructor(context, page) {
    this.context = context;
    this.page = page;
    page.setDefaultTimeout(PATIENCE);
    page.on('pageerror', (error) => this.#complain(`uncaught ${error}`));
    page.on('console', (message) => {
      this.lines.push(message.text());
      const isWarning = message.type() === 'warning' && message.text().startsWith('[beaker-peersockets]');
      if (message.type() === 'error' || isWarning) this.#complain(message.text());
    });
  }

  /** Lets the page complain of this. */
  expect(...patterns) {
    this.#expected.push(...patterns);
    this.complaints = this.complaints.filter((text) => !patterns.some((pattern) => pattern.test(text)));
  }

  /** Runs a function in the page, or in one of its frames; what it returns is waited for, but not for ever. */
  async evaluate(run, argument, frame = this.page) {
    let timer;
    const late = new Promise((_, reject) => {
      timer = setTimeout(() => reject(new Error(`after ${PATIENCE} ms the page still waits in ${run}; it said ${JSON.stringify(this.lines)}`)), PATIENCE);
    });
    try {
      return await Promise.race([frame.evaluate(run, argument), late]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Waits for a line of the console, one that was there already included. */
  async line(text) {
    if (!this.lines.includes(text)) await this.page.waitForEvent('console', (message) => message.text() === text);
  }

  #complain(text) {
    if (!this.#expected.some((pattern) => pattern.test(text))) this.complaints.push(text);
  }
}
