// Shows a list of steps while they run: a live line on a terminal, plain lines elsewhere.

import { join } from 'node:path';
import { logDirectory } from './paths.mjs';
import { Shell } from './shell.mjs';

const PLAIN_INTERVAL = 30_000;
const LIVE_INTERVAL = 100;

/**
 * @typedef {object} Step
 * @property {string} name the log file's name
 * @property {string} title what is done, for the user
 * @property {() => boolean | Promise<boolean>} [needed] steps that are not needed are not shown; default: always needed
 * @property {(shell: Shell) => Promise<unknown>} run
 */

/**
 * Runs the needed steps one after another.
 * @param {Step[]} steps
 */
export async function runSteps(steps) {
  const needed = [];
  for (const step of steps) {
    if (!step.needed || await step.needed()) needed.push(step);
  }
  for (const [index, step] of needed.entries()) {
    await runStep(step, `step ${index + 1} of ${needed.length}: ${step.title}`);
  }
}

async function runStep(step, label) {
  const line = process.stdout.isTTY ? new LiveLine(label) : new PlainLines(label);
  const shell = new Shell(join(logDirectory, `${step.name}.log`), (text) => line.detail(text));
  try {
    await step.run(shell);
    line.end('done');
  } catch (error) {
    line.end('failed');
    error.logFile ??= shell.logFile;
    throw error;
  }
}

class Line {
  #detail = '';
  #start = Date.now();

  constructor(label, interval) {
    this.label = label;
    this.timer = setInterval(() => this.show(), interval);
  }

  detail(text) {
    this.#detail = text.replace(/\x1b\[[\d;]*[A-Za-z]/g, '').trim() || this.#detail;
  }

  status() {
    return `${this.label} ... ${elapsed(this.#start)}  ${this.#detail}`;
  }

  end(outcome) {
    clearInterval(this.timer);
    return `${this.label} ... ${outcome} in ${elapsed(this.#start)}`;
  }
}

/** One line, rewritten in place. */
class LiveLine extends Line {
  constructor(label) {
    super(label, LIVE_INTERVAL);
  }

  show() {
    this.#rewrite(this.status().slice(0, (process.stdout.columns || 80) - 1));
  }

  end(outcome) {
    this.#rewrite(`${super.end(outcome)}\n`);
  }

  #rewrite(text) {
    process.stdout.write(`\r\x1b[K${text}`);
  }
}

/** A line at the start, one now and then, and one at the end. */
class PlainLines extends Line {
  constructor(label) {
    super(label, PLAIN_INTERVAL);
    console.log(`${label} ...`);
  }

  show() {
    console.log(this.status());
  }

  end(outcome) {
    console.log(super.end(outcome));
  }
}

/** "7 s" or "2 min 5 s". */
export function elapsed(start) {
  const seconds = Math.round((Date.now() - start) / 1000);
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}
