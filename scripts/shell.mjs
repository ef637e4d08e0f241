// Runs commands; their output goes to a log file and, line by line, to a listener.

import { spawn } from 'node:child_process';
import { accessSync, appendFileSync, constants, mkdirSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { CommandFailure } from './failure.mjs';
import { root, targetDirectory } from './paths.mjs';

const REMEMBERED_LINES = 40;

export class Shell {
  /**
   * @param {string} logFile overwritten
   * @param {(line: string) => void} onLine called with every line of output
   */
  constructor(logFile, onLine = () => {}) {
    mkdirSync(dirname(logFile), { recursive: true });
    writeFileSync(logFile, '');
    this.logFile = logFile;
    this.onLine = onLine;
  }

  /**
   * Runs a command to its end.
   * @param {string} command
   * @param {string[]} parameters
   * @param {{ cwd?: string, env?: Record<string, string> }} options
   * @returns {Promise<string>} what it wrote to stdout
   * @throws {CommandFailure} on any end but exit code 0
   */
  run(command, parameters, { cwd = root, env = {} } = {}) {
    const commandLine = [command, ...parameters].join(' ');
    this.#log(`$ ${commandLine}`);
    const child = spawn(command, parameters, {
      cwd,
      env: { ...process.env, CARGO_TARGET_DIR: targetDirectory, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const stdout = [];
    const lastLines = [];
    for (const stream of [child.stdout, child.stderr]) {
      createInterface({ input: stream }).on('line', (line) => {
        if (stream === child.stdout) stdout.push(line);
        lastLines.push(line);
        if (lastLines.length > REMEMBERED_LINES) lastLines.shift();
        this.#log(line);
        this.onLine(line);
      });
    }
    return new Promise((resolve, reject) => {
      const fail = (reason) => reject(new CommandFailure(commandLine, reason, lastLines));
      child.on('error', (error) => fail(error.code === 'ENOENT' ? 'was not found' : `could not start: ${error.message}`));
      child.on('close', (code, signal) => {
        if (code === 0) resolve(stdout.join('\n'));
        else fail(signal ? `was ended by ${signal}` : `ended with exit code ${code}`);
      });
    });
  }

  #log(line) {
    appendFileSync(this.logFile, `${line}\n`);
  }
}

/** Debian has some commands that anybody may run where only root's PATH leads. */
const everywhere = () => [...process.env.PATH.split(delimiter), '/usr/sbin'];

/** The full path of a command on PATH (or in the directories given), or undefined. */
export function findCommand(name, directories = everywhere()) {
  return directories.map((directory) => join(directory, name)).find(isExecutable);
}

function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
