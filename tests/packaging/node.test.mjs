// The package in Node: where a server renders a page, or a tool only looks at what there is. There is no window, document or WebSocket.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { name, newProject } from './support/project.mjs';

const ENTRIES = [name, `${name}/slim`, `${name}/polyfill`, `${name}/hyperdrive`];
const PROMISED = { [name]: ['install'], [`${name}/slim`]: ['install'], [`${name}/hyperdrive`]: ['connect'] };
const project = await newProject({}, ['react', 'react-dom', 'esbuild', 'hyperdrive', 'corestore']);

test('node imports every module entry without a side effect', async () => {
  for (const entry of ENTRIES) {
    const { stdout } = await project.node(`
      const opened = [];
      for (const global of ['fetch', 'WebSocket', 'setTimeout', 'setInterval', 'queueMicrotask']) {
        globalThis[global] = new Proxy(globalThis[global] ?? class {}, {
          apply: (...call) => { opened.push(global); return Reflect.apply(...call); },
          construct: (...call) => { opened.push(global); return Reflect.construct(...call); },
        });
      }
      const before = Object.getOwnPropertyNames(globalThis);
      const entry = await import('${entry}');
      const added = Object.getOwnPropertyNames(globalThis).filter((key) => !before.includes(key));
      console.log(JSON.stringify({ exports: Object.keys(entry), added, opened, waits: process.getActiveResourcesInfo() }));
    `);
    const { exports, added, opened, waits } = JSON.parse(stdout);
    assert.deepEqual(exports.filter((promised) => ['install', 'connect'].includes(promised)), PROMISED[entry] ?? []);
    assert.deepEqual({ added, opened, waiting: withoutOutput(waits) }, { added: [], opened: [], waiting: [] }, entry);
  }
});

test('a commonjs program can require it', async () => {
  await project.write({ 'program.cjs': `console.log(JSON.stringify(${JSON.stringify(ENTRIES)}.map((entry) => typeof require(entry))))` });
  const { stdout } = await project.run(process.execPath, '--no-warnings', 'program.cjs');
  assert.deepEqual(JSON.parse(stdout), ENTRIES.map(() => 'object'));
});

test('the main entry and the slim one offer the same names', async () => {
  const { stdout } = await project.node(`console.log(JSON.stringify([await import('${name}'), await import('${name}/slim')].map((entry) => Object.keys(entry).sort())))`);
  const [main, slim] = JSON.parse(stdout);
  assert.deepEqual(slim, main);
  for (const promised of ['PeerSockets', 'PeerSocketsError', 'Topic', 'install', 'ready']) assert.ok(main.includes(promised), `${promised} is missing in ${main}`);
});

test('what is made on a server loads nothing, says nothing, and lets the process end', async () => {
  const { stdout, stderr } = await project.node(`
    import { PeerSockets, install, ready } from '${name}';
    globalThis.fetch = () => { throw new Error('somebody fetches'); };
    const sockets = install({ relays: ['ws://127.0.0.1:9/relay'] });
    const heard = [];
    for (const type of ['error', 'state']) new PeerSockets().addEventListener(type, () => heard.push(type));
    sockets.join('chat').send(1, 'hello');
    sockets.watch();
    const outcomes = await Promise.allSettled([sockets.ready, new PeerSockets().ready, ready()]);
    console.log(JSON.stringify({ codes: outcomes.map(({ reason }) => reason?.code), state: sockets.state, heard, waits: process.getActiveResourcesInfo() }));
  `);
  assert.equal(stderr, '');
  const { codes, state, heard, waits } = JSON.parse(stdout);
  assert.deepEqual({ codes, state, heard, waiting: withoutOutput(waits) }, { codes: ['no-page', 'no-page', 'no-page'], state: 'loading', heard: [], waiting: [] });
});

test('a server renders a component that uses it, and installs one for all visitors', async () => {
  await project.write({ 'peers.jsx': `
    import { install } from '${name}';
    import { useState } from 'react';
    import { renderToString } from 'react-dom/server';

    const sockets = install();
    function Peers() {
      const [state] = useState(sockets.state);
      return <p>{state}: {sockets.stats().peers.length}</p>;
    }
    console.log(renderToString(<Peers />), install() === sockets);
  ` });
  await project.run('esbuild', 'peers.jsx', '--jsx=automatic', '--bundle', '--platform=node', '--format=esm', '--packages=external', '--outfile=peers.mjs', '--log-level=warning');
  const { stdout, stderr } = await project.run(process.execPath, 'peers.mjs');
  assert.equal(stderr, '');
  assert.equal(stdout, '<p>loading<!-- -->: <!-- -->0</p> true\n');
});

test('the slim entry without the wasm is one error that says what to write', async () => {
  const { stdout } = await project.node(`
    import { PeerSockets, ready } from '${name}/slim';
    const sockets = new PeerSockets();
    const topic = sockets.join('chat');
    topic.addEventListener('error', ({ code, message }) => console.log('returned', code, new TextDecoder().decode(message)));
    topic.send(1, 'do not lose me');
    sockets.addEventListener('error', ({ error }) => console.log(sockets.state, error.code, error.message));
    await ready().catch(({ code }) => console.log('rejected', code));
  `);
  assert.deepEqual(stdout.trim().split('\n').sort(), [
    "failed no-wasm nothing says where the WebAssembly is. Write install({ wasm: '/peersockets.wasm' }), or import beaker-peersockets instead of beaker-peersockets/slim.",
    'rejected no-wasm',
    'returned no-wasm do not lose me',
  ]);
});

test('the slim entry needs no wasm of its own once it is loaded', async () => {
  const { stdout } = await project.node(`
    import { readFile } from 'node:fs/promises';
    import { PeerSockets, ready } from '${name}/slim';
    await ready({ wasm: await readFile(new URL(import.meta.resolve('${name}/peersockets.wasm'))) });
    const sockets = new PeerSockets({ relays: [], drive: 'ab'.repeat(32) });
    sockets.addEventListener('error', ({ code }) => console.log(code));
    await sockets.ready;
    console.log('ready');
  `);
  assert.deepEqual(stdout.trim().split('\n').sort(), ['no-relay', 'ready']);
});

test('a process connects its drive, and ends when it has closed', async () => {
  await project.write({ 'drive.js': `
    import Corestore from 'corestore';
    import Hyperdrive from 'hyperdrive';
    import { connect } from '${name}/hyperdrive';

    const drive = new Hyperdrive(new Corestore('./store'));
    const sockets = connect(drive);
    await sockets.ready;
    console.log(sockets.stats().driveDiscoveryKey === drive.discoveryKey.toString('hex'));
    await sockets.close();
    await drive.close();
    console.log(sockets.state);
  ` });
  const { stdout, stderr } = await project.run(process.execPath, 'drive.js');
  assert.deepEqual([stdout, stderr], ['true\nclosed\n', '']);
});

/** What a process waits for, except for the pipe that it writes to. */
function withoutOutput(resources) {
  return resources.filter((resource) => !/^(PipeWrap|TTYWrap|CloseReq)$/.test(resource));
}
