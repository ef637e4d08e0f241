// Brings everything that a command needs and that this machine lacks. Quick when nothing is missing.

import { systemPackages } from './debian.mjs';
import { benchPackages, npmPackages } from './npm.mjs';
import { coturn, nginx } from './servers.mjs';
import { cargoDeny, geckodriver, wasmBindgen, wasmPack } from './tools.mjs';
import { wasmTarget } from './wasm-target.mjs';

/** For building: clang compiles the C that one dependency, ring, carries. */
export const setupToBuild = () => [systemPackages(['clang']), wasmTarget, npmPackages, wasmBindgen];

/** For building and testing. */
export const setupToTest = () => [
  systemPackages(['clang', 'chromium', 'chromedriver', 'firefox-esr', 'openssl', 'valgrind', 'ip', 'nft']), nginx, coturn,
  wasmTarget, npmPackages, wasmBindgen, wasmPack, geckodriver,
];

/** For building and measuring. */
export const setupToBench = () => [systemPackages(['clang', 'chromium', 'valgrind']), wasmTarget, npmPackages, benchPackages, wasmBindgen];

/** For building and linting. */
export const setupToLint = () => [...setupToBuild(), cargoDeny];
