// An expected failure: told in one line, without a stack trace.

import { relative } from 'node:path';
import { root } from './paths.mjs';

export class Failure extends Error {
  /**
   * @param {string} what what went wrong
   * @param {string} remedy what the user can do about it
   */
  constructor(what, remedy) {
    super(what);
    this.remedy = remedy;
  }
}

/** A command that ended with another exit code than 0, or that could not be started. */
export class CommandFailure extends Failure {
  /**
   * @param {string} command the whole command line
   * @param {string} reason how it ended
   * @param {string[]} lastLines the end of its output
   */
  constructor(command, reason, lastLines) {
    super(`\`${command}\` ${reason}`, remedyFor(lastLines.join('\n')));
    this.lastLines = lastLines;
  }
}

const NO_NETWORK = new RegExp([
  'could ?n.t resolve', 'temporary failure resolving', 'unable to connect', 'could not connect', 'failed to fetch',
  'spurious network error', 'network is unreachable', 'enotfound', 'eai_again', 'econnrefused', 'etimedout', 'download of config.json failed',
].join('|'), 'i');

const NO_PACKAGE = /unable to locate package|no installation candidate/i;

function remedyFor(output) {
  if (NO_PACKAGE.test(output)) return 'this system has no such package: install what it holds by hand, then run it again';
  if (NO_NETWORK.test(output)) return 'a download failed: check the network connection, then run it again';
  if (/no space left|enospc/i.test(output)) return 'the disk is full: make room, then run it again';
  return 'see the log for the reason';
}

/** The one line that ends a failed run. Whoever keeps a log puts its path into `error.logFile`. */
export function describeFailure(error) {
  const [what, remedy] = error instanceof Failure ? [error.message, error.remedy] : [error.stack, 'this is a defect of the scripts'];
  const log = error.logFile ? ` (log: ${relative(root, error.logFile)})` : '';
  return `${what}: ${remedy}${log}`;
}

/** Runs a script's main function; an expected failure ends it with one line and exit code 1. */
export async function main(program) {
  try {
    await program();
  } catch (error) {
    console.error(`failed: ${describeFailure(error)}`);
    process.exitCode = 1;
  }
}
