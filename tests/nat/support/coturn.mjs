// coturn, a STUN and TURN server.

import { createHmac, randomBytes } from 'node:crypto';
import { createInterface } from 'node:readline';
import { after } from 'node:test';
import { coturn } from '../../../scripts/servers.mjs';
import { OTHER_SERVER, SERVER } from './internet.mjs';

/** What coturn shares with those who make credentials for it. */
export const SECRET = randomBytes(32).toString('hex');

const PORT = 3478;
/** Seconds that credentials hold. */
const LIFETIME = 3_600;

/** Where it answers to STUN. */
export const STUN = `stun:${SERVER}:${PORT}`;
/** The same server at its other address. */
export const OTHER_STUN = `stun:${OTHER_SERVER}:${PORT}`;
/** Where it relays. */
export const TURN = `turn:${SERVER}:${PORT}?transport=udp`;

/** Starts one that ends with the test file; it relays for who has credentials made with {@link SECRET}. */
export async function startCoturn(internet) {
  const server = internet.spawn(coturn.program, [
    '-n', '--listening-ip', SERVER, '--listening-ip', OTHER_SERVER, '--listening-port', String(PORT), '--relay-ip', SERVER,
    '--use-auth-secret', '--static-auth-secret', SECRET, '--realm', 'example.test', '--fingerprint',
    '--no-tls', '--no-dtls', '--no-cli', '--no-rfc5780', '--userdb', ':memory:', '--pidfile', '/dev/null', '--log-file', 'stdout',
  ], { stdio: ['ignore', 'pipe', 'pipe'] });
  after(() => server.kill('SIGKILL'));
  const said = [];
  createInterface({ input: server.stderr }).on('line', (line) => said.push(line));
  process.on('exit', (code) => {
    if (code !== 0) console.error(`# log of coturn:\n${said.join('\n')}`);
  });
  // It is listening when it counts what listens.
  await new Promise((resolve, reject) => {
    createInterface({ input: server.stdout })
      .on('line', (line) => {
        said.push(line);
        if (line.includes('Total General servers')) resolve();
      })
      .on('close', () => reject(new Error(`coturn has ended: ${said.join('\n')}`)));
  });
}

/** TURN with credentials as a relay announces them: until when they hold, and a proof that who gave them knows the secret. */
export function turnServer(secret) {
  const username = `${Math.floor(Date.now() / 1_000) + LIFETIME}:page`;
  return { urls: TURN, username, credential: createHmac('sha1', secret).update(username).digest('base64') };
}
