// npm start [-- --port N]: builds what is missing, then runs the relay with the demo until it is interrupted.

import { spawn } from 'node:child_process';
import { parseArgs } from 'node:util';
import { Failure, main } from './failure.mjs';
import { buildPackage } from './package.mjs';
import { relayBinary, root } from './paths.mjs';
import { runSteps } from './progress.mjs';
import { buildRelay } from './relay.mjs';
import { setupToBuild } from './setup.mjs';

await main(async () => {
  const port = readPort();
  await runSteps([...setupToBuild(), buildPackage(), buildRelay]);
  runRelay(port);
});

function readPort() {
  const remedy = 'usage: npm start [-- --port N]';
  try {
    const { values } = parseArgs({ options: { port: { type: 'string', default: '8787' } } });
    if (/^\d{1,5}$/.test(values.port) && Number(values.port) <= 65535) return values.port;
  } catch (error) {
    throw new Failure(error.message, remedy);
  }
  throw new Failure('--port takes a number from 0 to 65535', remedy);
}

function runRelay(port) {
  const relay = spawn(relayBinary, ['--port', port, '--www', 'www', '--pkg', 'pkg'], { cwd: root, stdio: 'inherit' });
  // On a terminal the relay gets Ctrl-C too; this process only has to outlive it.
  process.on('SIGINT', () => relay.kill('SIGINT'));
  process.on('SIGTERM', () => relay.kill('SIGTERM'));
  relay.on('exit', (code) => process.exit(code ?? 0));
}
