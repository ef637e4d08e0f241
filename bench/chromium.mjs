// Chromium, and a server for the pages that it measures.

import { once } from 'node:events';
import { createServer } from 'node:http';
import { chromium } from 'playwright-core';
import { systemCommand } from '../scripts/debian.mjs';

const FLAGS = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update',
  '--disable-sync', '--disable-background-timer-throttling', '--disable-renderer-backgrounding', '--disable-backgrounding-occluded-windows',
];

/** Runs something with a browser, which gets more flags, and ends it. */
export async function withBrowser(use, flags = []) {
  const browser = await chromium.launch({ executablePath: systemCommand('chromium'), args: [...FLAGS, ...flags] });
  try {
    return await use(browser);
  } finally {
    await browser.close();
  }
}

/** Opens pages one after another, each in a context of its own. */
export async function open(browser, urls) {
  const pages = [];
  for (const url of urls) {
    const page = await (await browser.newContext()).newPage();
    await page.goto(url);
    pages.push(page);
  }
  return pages;
}

/** Serves these files, by path, to whoever `use` sends there. */
export async function withFiles(files, use) {
  const server = createServer(({ url }, response) => {
    const { type, body } = files[url] ?? {};
    if (type) response.writeHead(200, { 'content-type': type }).end(body);
    else response.writeHead(404).end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    return await use(`http://127.0.0.1:${server.address().port}`);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}
