// node scripts/screenshots.mjs: takes the pictures of the demo in docs/screenshots/, after npm run build.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { chromium } from 'playwright-core';
import { systemCommand } from './debian.mjs';
import { main } from './failure.mjs';
import { relayBinary, root } from './paths.mjs';

const directory = join(root, 'docs/screenshots');
const WINDOW = { viewport: { width: 920, height: 640 } };
const PHONE = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true };

await main(async () => {
  mkdirSync(directory, { recursive: true });
  const { relay, url } = await startRelay();
  const browser = await chromium.launch({ executablePath: systemCommand('chromium'), args: ['--no-sandbox', '--disable-gpu', '--disable-quic'] });
  try {
    await takePictures(relay, (options) => openDemo(browser, url, options));
  } finally {
    await browser.close();
    relay.kill();
  }
});

async function takePictures(relay, open) {
  const ana = await open(WINDOW);
  await ana.locator('#nobody').waitFor();
  await take(ana, 'empty');

  const ben = await open(WINDOW);
  const phone = await open(PHONE);
  for (const page of [ana, ben, phone]) await page.locator('.device').nth(2).waitFor();
  await introduce(ana, 'Ana');
  await introduce(ben, 'Ben');
  await hear([ana, ben, phone], ana, 'Which flag is yours?');
  await hear([ana, ben, phone], ben, 'The second on your line.');
  await hear([ana, ben, phone], phone, 'I am on the sofa.');
  await measure(ana, ben);
  await take(ana, 'three-peers', { fullPage: true, clip: await downTo(ana, '.inspector') });
  await take(phone, 'phone');

  await ana.locator('#message').fill('Still there?');
  relay.kill('SIGKILL');
  await ana.locator('.note', { hasText: 'npm start' }).waitFor();
  await ana.locator('#state', { hasText: 'peers only' }).waitFor();
  await take(ana, 'relay-down');
}

async function introduce(page, nickname) {
  await page.locator('#nickname').fill(nickname);
  await page.locator('#nickname').press('Enter');
}

/** Lets everyone hear what one of them says. */
async function hear(pages, speaker, text) {
  await speaker.locator('#message').fill(text);
  await speaker.locator('#message').press('Enter');
  for (const page of pages) await page.locator('.words', { hasText: text }).waitFor();
}

/** Lets two of them use another topic, for the inspector of the first to show. */
async function measure(page, other) {
  await page.locator('#clear-frames').click();
  for (const each of [other, page]) {
    await each.locator('#topic-name').fill('cursor');
    await each.locator('#topic-name').press('Enter');
    await each.locator('.topic-row', { hasText: 'cursor' }).waitFor();
  }
  await transmit(page, 'text', '{"x":312,"y":87}');
  await transmit(other, 'hex', '01 38 00 57');
  await page.locator('.frame.in').waitFor();
  await page.locator('#message').focus();
}

async function transmit(page, format, content) {
  await page.locator('#send-as').selectOption(format);
  await page.locator('#payload').fill(content);
  await page.locator('#payload').press('Enter');
}

async function openDemo(browser, url, options) {
  const context = await browser.newContext({ ...options, reducedMotion: 'reduce', locale: 'en-GB' });
  const page = await context.newPage();
  await page.goto(url);
  await page.locator('.state[data-state="ready"]').waitFor();
  return page;
}

async function take(page, name, options = {}) {
  await page.evaluate(() => scrollTo(0, 0));
  await page.screenshot({ path: join(directory, `${name}.png`), caret: 'hide', ...options });
  console.log(`docs/screenshots/${name}.png`);
}

/** The page from its top to the end of an element. */
async function downTo(page, selector) {
  const end = await page.locator(selector).evaluate((element) => element.getBoundingClientRect().bottom + scrollY);
  return { x: 0, y: 0, width: WINDOW.viewport.width, height: Math.ceil(end) + 16 };
}

async function startRelay() {
  const parameters = ['--listen', '127.0.0.1:0', '--www', join(root, 'www'), '--pkg', join(root, 'pkg'), '--log', 'error'];
  const relay = spawn(relayBinary, parameters, { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = await once(createInterface({ input: relay.stdout }), 'line');
  return { relay, url: line.replace(/^listening on /, '') };
}
