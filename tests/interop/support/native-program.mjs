// A process that has a drive and this package. It does what its parent says, and tells it what happens.

import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import Corestore from 'corestore';
import Hyperdrive from 'hyperdrive';
import { connect } from '../../../pkg/dist/hyperdrive.js';

const { directory, key, relays, secretKey } = JSON.parse(process.argv[2]);
const store = new Corestore(directory);
const drive = new Hyperdrive(store, key && Buffer.from(key, 'hex'));
const sockets = connect(drive, { relays, keyPair: { secretKey: Buffer.from(secretKey, 'hex') } });
const peerEvents = sockets.watch();
const chat = sockets.join('chat');
const digest = (bytes) => [bytes.byteLength, createHash('sha256').update(bytes).digest('base64')];

sockets.addEventListener('error', ({ error }) => process.send({ event: 'error', value: `${error.code}: ${error.message}` }));
for (const event of ['join', 'leave']) peerEvents.addEventListener(event, ({ peerId }) => process.send({ event, value: peerId }));
chat.addEventListener('message', ({ peerId, message }) => process.send({ event: 'message', value: { peerId, message: digest(message) } }));

const commands = {
  /** Sends so many random bytes to everyone. */
  sendToAll(size) {
    const message = randomBytes(size);
    for (const peerId of peerEvents.peers) chat.send(peerId, message);
    return digest(message);
  },
  /** Opens other cores, which are replicated too. */
  async openCores(count) {
    for (let index = 0; index < count; index += 1) await store.get({ name: `core ${index}` }).ready();
  },
  async put(path, size) {
    const bytes = randomBytes(size);
    await drive.put(path, bytes);
    return digest(bytes);
  },
  /** Reads a file as soon as it is there. */
  async get(path) {
    for (;;) {
      const appended = once(drive.core, 'append');
      const bytes = await drive.get(path);
      if (bytes) return digest(bytes);
      await appended;
    }
  },
  /** Says so many things to everyone, each so long, and closes at once. With `file`, that is written when the process ends. */
  async sayAndClose({ count, length, file }) {
    for (let number = 0; number < count; number += 1) {
      for (const peerId of peerEvents.peers) chat.send(peerId, String(number).padEnd(length));
    }
    await sockets.close();
    if (!file) return;
    process.on('exit', () => writeFileSync(file, ''));
    setImmediate(() => process.disconnect());
  },
};

process.on('message', async ({ id, name, parameters }) => {
  try {
    process.send({ id, value: await commands[name](...parameters) });
  } catch (error) {
    process.send({ id, error: String(error.stack) });
  }
});
await drive.ready();
process.send({ event: 'ready', value: drive.key.toString('hex') });
