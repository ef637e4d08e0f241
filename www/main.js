// The demo: brings the nouns of this directory together on one drive.

import { Chat } from './chat.js';
import { mayBeDirect, offerChoice } from './direct.js';
import { DriveBar, readDrive } from './drive.js';
import { Example } from './example.js';
import { Inspector } from './inspector.js';
import { Nickname } from './nickname.js';
import { Peers } from './peers.js';
import { Reach } from './reach.js';
import { Room } from './room.js';
import { Roster } from './roster.js';
import { Status } from './status.js';
import { Wire } from './wire.js';

const drive = readDrive(location.href);
const status = new Status();
const driveBar = new DriveBar(drive);
const example = new Example(drive);
offerChoice();

// Not a static import: without the package the page can still say so.
const { install } = await import('./pkg/dist/index.js').catch((error) => {
  status.failToLoad();
  throw error;
});
// A drive that is given must be one; without any it is the public one.
start(install({ ...(drive.text !== undefined && { drive: drive.text }), ...(!mayBeDirect() && { direct: false }) }));

function start(sockets) {
  status.follow(sockets);
  sockets.addEventListener('error', ({ code }) => {
    if (code !== 'bad-drive') return;
    driveBar.reject();
    example.withdraw();
  });
  const peers = new Peers(sockets);
  const roster = new Roster(peers);
  const reach = new Reach(sockets, peers);
  const wire = new Wire(sockets, peers);
  wire.addEventListener('trouble', ({ detail }) => status.report(detail.error));
  const chat = new Chat(peers, wire, reach);
  const nickname = new Nickname(peers, wire);
  new Inspector(peers, wire, reach);
  new Room(sockets, peers);

  const introduce = () => {
    const { deviceKey } = sockets.stats();
    if (deviceKey !== '') roster.introduce(deviceKey, nickname.own);
  };
  sockets.addEventListener('state', introduce);
  nickname.addEventListener('change', () => {
    introduce();
    chat.confirmNickname(nickname.own);
  });
  introduce();
}
