#!/usr/bin/env node
// Runs the relay as if it had been called itself: with the same words, signals, output and exit code.

import { spawn } from 'node:child_process';
import { binaryPath } from './index.js';

/** Milliseconds between two looks whether npx is still there. */
const PARENT_INTERVAL = 500;

try {
  run(binaryPath());
} catch (error) {
  fail(error.message);
}

function run(program) {
  // Before there is a relay: a signal in between would end this process alone.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => relay.kill(signal));
  const relay = spawn(program, process.argv.slice(2), { stdio: 'inherit' });
  relay.on('error', (error) => fail(`cannot run ${program}: ${error.message}`));
  if (process.env.npm_command === 'exec') endWithParent(relay);
  relay.on('exit', (code, signal) => (signal ? endBy(signal) : process.exit(code)));
}

/** npx puts a shell between itself and us, which does not pass on the signal that ends both. */
function endWithParent(relay) {
  const parent = process.ppid;
  setInterval(() => process.ppid === parent || relay.kill(), PARENT_INTERVAL).unref();
}

/** Ends as the relay has ended. */
function endBy(signal) {
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
}

function fail(what) {
  console.error(`beaker-peersockets-relay: ${what}`);
  process.exitCode = 1;
}
