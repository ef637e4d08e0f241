// A Chromium whose processes can all be stopped and continued, as a laptop's are when its lid is closed.

import { readdirSync, readFileSync } from 'node:fs';
import { after } from 'node:test';
import { chromium } from 'playwright-core';
import { systemCommand } from '../../../scripts/debian.mjs';
import { FLAGS } from './browser.mjs';

/** Starts one; it ends with the test file, and wakes for that. */
export async function startSleeper() {
  const server = await chromium.launchServer({ executablePath: systemCommand('chromium'), args: FLAGS });
  const browser = await chromium.connect(server.wsEndpoint());
  const signal = (name) => {
    for (const pid of withDescendants(server.process().pid)) process.kill(pid, name);
  };
  after(async () => {
    signal('SIGCONT');
    await browser.close();
    await server.close();
  });
  return { browser, sleep: () => signal('SIGSTOP'), wake: () => signal('SIGCONT') };
}

/** A process and all that it started, directly or not. */
function withDescendants(pid) {
  const children = new Map();
  for (const entry of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const stat = readFileSync(`/proc/${entry}/stat`, 'utf8');
      const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
      children.set(parent, [...children.get(parent) ?? [], Number(entry)]);
    } catch {
      // It has ended meanwhile.
    }
  }
  const all = [pid];
  for (const next of all) all.push(...children.get(next) ?? []);
  return all;
}
