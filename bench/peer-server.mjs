// node bench/peer-server.mjs PORT: npm peer's PeerServer, with no limit that counts here.

import { PeerServer } from 'peer';

PeerServer({ port: Number(process.argv[2]), host: '127.0.0.1', concurrent_limit: 20_000 }, () => console.log('ready'));
