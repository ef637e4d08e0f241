// System packages: found by the command they bring, installed with apt-get where that exists.

import { Failure } from './failure.mjs';
import { findCommand } from './shell.mjs';

/** Which Debian package brings a command. */
const PACKAGE_OF = {
  clang: 'clang',
  chromium: 'chromium',
  chromedriver: 'chromium-driver',
  'firefox-esr': 'firefox-esr',
  openssl: 'openssl',
  valgrind: 'valgrind',
  ip: 'iproute2',
  nft: 'nftables',
};

/**
 * The step that brings commands from the system's packages.
 * @param {(keyof typeof PACKAGE_OF)[]} commands
 */
export function systemPackages(commands) {
  const missing = () => commands.filter((command) => !findCommand(command)).map((command) => PACKAGE_OF[command]);
  return {
    name: 'system-packages',
    title: `install ${missing().join(', ')} with apt-get`,
    needed: () => missing().length > 0,
    run: (shell) => installPackages(shell, missing()),
  };
}

/**
 * The full path of a command that setup brings.
 * @param {keyof typeof PACKAGE_OF} name
 */
export function systemCommand(name) {
  const path = findCommand(name);
  if (!path) throw new Failure(`${name} is missing`, 'run npm test, which installs it');
  return path;
}

export async function installPackages(shell, packages) {
  if (!findCommand('apt-get')) {
    throw new Failure(`${packages.join(', ')} missing, and this is not Debian`, 'install what these packages hold by hand, then run it again');
  }
  const command = `apt-get install --no-install-recommends ${packages.join(' ')}`;
  const privileged = asRoot(command);
  await privileged(shell, 'apt-get', ['update']);
  await privileged(shell, 'apt-get', ['install', '--yes', '--no-install-recommends', ...packages]);
}

/**
 * Gives a function that runs commands as root.
 * @param {string} purpose what a user without the right to do so has to have done
 */
export function asRoot(purpose) {
  const env = { DEBIAN_FRONTEND: 'noninteractive' };
  if (process.getuid() === 0) return (shell, command, parameters) => shell.run(command, parameters, { env });
  if (!findCommand('sudo')) throw new Failure('root is needed, and there is no sudo', `have an administrator run: ${purpose}`);
  // Without a terminal nobody can type the password: fail at once.
  const flags = process.stdin.isTTY ? [] : ['-n'];
  return (shell, command, parameters) => shell.run('sudo', [...flags, command, ...parameters], { env });
}
