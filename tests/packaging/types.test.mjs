// What TypeScript says of programs that use the package, for each way in which it finds packages.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { name, newProject } from './support/project.mjs';

/** The package's own declarations are checked too. A file without imports is a script, as in projects without modules. */
const STRICT = ['--strict', '--noEmit', '--pretty', 'false', '--target', 'es2022', '--lib', 'es2022,dom', '--moduleDetection', 'legacy'];
const RESOLUTIONS = { bundler: ['--module', 'esnext', '--moduleResolution', 'bundler'], node16: ['--module', 'node16'], nodenext: ['--module', 'nodenext'] };

const PROGRAMS = {
  'everything.ts': `
    import { PeerSockets, install, ready } from '${name}';
    import type { ErrorCode, MessageBytes, Path, Stats } from '${name}';
    import * as slim from '${name}/slim';
    import wasm from '${name}/peersockets.wasm';

    await ready({ wasm: new URL('https://cdn.example/peersockets.wasm') });
    const sockets: PeerSockets = install({ drive: 'hyper://' + '0'.repeat(64), relays: ['wss://relay.example/relay'] });
    const topic = sockets.join('chat');
    sockets.watch().addEventListener('join', (event) => topic.send(event.peerId, 'hello'));
    sockets.watch().addEventListener('path', ({ peerId, path, roundTripTime }) => { const known: Path = path; console.log(peerId, known, roundTripTime?.toFixed()); });
    topic.addEventListener('message', ({ peerId, message }) => console.log(peerId.toFixed(), message.byteLength));
    sockets.addEventListener('error', ({ code, remedy }) => { const known: ErrorCode = code; console.warn(known, remedy); });
    sockets.addEventListener('state', ({ state }) => { if (state === 'ready') topic.close(); });
    export const stats: Stats = sockets.stats();

    const other: slim.PeerSockets = new slim.PeerSockets({ wasm: new Request(wasm, { integrity: 'sha384-' }) });
    export const either: PeerSockets[] = [sockets, other, slim.install({ wasm: new Uint8Array() })];
    export const kept: MessageBytes[] = [];
  `,
  'window.ts': `
    import { install } from '${name}';
    declare global { interface Beaker { hyperdrive: { drive(url: string): unknown } } }
    install();
    window.beaker.peersockets.watch().addEventListener('leave', ({ peerId }) => console.log(peerId + 1));
    window.beaker.hyperdrive.drive('hyper://' + '0'.repeat(64));
    frames[0]?.beaker.peersockets.close();
  `,
  'bytes.ts': `
    import { PeerSockets } from '${name}';
    new PeerSockets().join('files').addEventListener('message', async ({ message }) => {
      const exact: Uint8Array<ArrayBuffer> = message;
      await crypto.subtle.digest('SHA-256', message);
      new Blob([exact]);
    });
  `,
  'native.ts': `
    import type { PeerSockets } from '${name}';
    import { connect } from '${name}/hyperdrive';
    import type { Drive, DriveSockets } from '${name}/hyperdrive';

    declare const drive: Drive;
    declare const stream: { noiseStream: object };
    const sockets: DriveSockets = connect(drive, { relays: ['ws://127.0.0.1:8787/relay'], keyPair: { secretKey: new Uint8Array(64) } });
    sockets.handle(stream, { replicate: false }).noiseStream;
    sockets.join('chat').addEventListener('message', ({ message }) => console.log(message.byteLength));
    export const asInPages: PeerSockets = sockets;
    await sockets.close();
  `,
  'mistakes.ts': `
    import { PeerSockets } from '${name}';
    const topic = new PeerSockets({ relay: 'wss://relay.example/relay' }).join('chat');
    topic.send(1, { not: 'bytes' });
    topic.addEventListener('message', (event) => event.peer);
  `,
  'native-mistakes.ts': `
    import { connect } from '${name}/hyperdrive';
    import type { Drive } from '${name}/hyperdrive';
    declare const drive: Drive;
    connect('hyper://ab');
    connect(drive, { relay: 'ws://127.0.0.1:8787/relay' });
  `,
};

const SCRIPT = {
  'script.ts': `/// <reference types="${name}/polyfill" />
    beaker.peersockets.join('chat').addEventListener('message', (event) => {
      console.log(event.message.length, window.beaker === globalThis.beaker);
    });
  `,
};

const project = await newProject({ ...PROGRAMS, ...SCRIPT }, ['typescript', '@types/node', 'undici-types']);

for (const [resolution, settings] of Object.entries(RESOLUTIONS)) {
  test(`strict programs compile against it, and mistakes do not: ${resolution}`, async () => {
    const errors = await typecheck(PROGRAMS, settings);
    assert.deepEqual(errors, [
      'mistakes.ts 3 TS2561', 'mistakes.ts 4 TS2353', 'mistakes.ts 5 TS2339', 'native-mistakes.ts 5 TS2345', 'native-mistakes.ts 6 TS2561',
    ]);
  });
}

test('a script without modules knows the bare beaker by a reference', async () => {
  assert.deepEqual(await typecheck(SCRIPT, RESOLUTIONS.bundler), []);
});

test('a program for Node compiles against it without the types of the DOM', async () => {
  const { 'native.ts': program } = PROGRAMS;
  const withBytes = `${program}\nconnect(drive, { wasm: new Uint8Array(8) });`;
  await project.write({ 'node.ts': withBytes.replace("import type { PeerSockets } from 'beaker-peersockets';", "import type { PeerSockets } from 'beaker-peersockets/hyperdrive';") });
  assert.deepEqual(await typecheck({ 'node.ts': withBytes }, [...RESOLUTIONS.nodenext, '--lib', 'es2023', '--types', 'node']), []);
});

/** The errors that `tsc` finds: file, line and code. */
async function typecheck(programs, settings) {
  const output = await project.run('tsc', ...STRICT, ...settings, ...Object.keys(programs)).then(({ stdout }) => stdout, ({ stdout }) => stdout);
  return output.split('\n').filter(Boolean).map((line) => line.replace(/^(.+)\((\d+),\d+\): error (TS\d+): .*$/, '$1 $2 $3'));
}
