// The demo: brings the nouns of this directory together on one drive.

import { Chat } from './chat.js';
import { DriveBar, readDrive } from './drive.js';
import { Example } from './example.js';
import { Inspector } from './inspector.js';
import { Peers } from './peers.js';
import { Roster } from './roster.js';
import { Status } from './status.js';
import { Wire } from './wire.js';

const drive = readDrive(location.href);
const status = new Status();
const driveBar = new DriveBar(drive);
new Example(drive);

// Not a static import: without the package the page can still say so.
const { install } = await import('./pkg/dist/index.js').catch((error) => {
  status.failToLoad();
  throw error;
});
start(install({ drive: drive.text }));

function start(sockets) {
  status.follow(sockets);
  sockets.addEventListener('error', ({ code }) => {
    if (code === 'bad-drive') driveBar.reject();
  });
  const peers = new Peers(sockets);
  const roster = new Roster(peers);
  const wire = new Wire(sockets, peers);
  const chat = new Chat(peers, wire);
  new Inspector(peers, wire);

  const follow = () => {
    chat.setConnected(sockets.state === 'ready');
    const { deviceKey } = sockets.stats();
    if (deviceKey !== '') roster.introduce(deviceKey, chat.nickname);
  };
  sockets.addEventListener('state', follow);
  chat.addEventListener('nickname', follow);
  follow();
}
