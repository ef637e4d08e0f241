// A relay behind nginx, with what deploy/ has for it: limits are those of each visitor, whatever he says of himself.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import WebSocket from 'ws';
import { nginx } from '../../scripts/servers.mjs';
import { newDrive, openPerson, startBrowser } from './support/browser.mjs';
import { frame, kind } from './support/relay-frames.mjs';
import { startRelay } from './support/relay.mjs';

const root = fileURLToPath(new URL('../../', import.meta.url));
const PATIENCE = 20_000;

test('each visitor has limits of his own, and no header of his changes that', async (t) => {
  const relay = await startRelay({ options: ['--public', '--trusted-proxy', '127.0.0.1/32', '--connections-per-address', '1'] });
  const proxy = await startNginx(t, relay);
  const first = await visit(t, proxy, '127.0.0.2');
  const second = await visit(t, proxy, '127.0.0.3');
  for (const visitor of [first, second]) assert.equal(await visitor.answer(), kind.welcome);
  for (const headers of [{}, { 'x-forwarded-for': '198.51.100.7' }]) {
    const again = await visit(t, proxy, '127.0.0.2', headers);
    assert.equal(await again.refusal(), 'too-many-from-address');
  }
  for (const visitor of [first, second]) assert.equal(visitor.socket.readyState, WebSocket.OPEN);
});

test('where the proxy is not trusted all visitors are one, and the relay says so once', async (t) => {
  const relay = await startRelay({ options: ['--connections-per-address', '1'] });
  const proxy = await startNginx(t, relay);
  assert.equal(await (await visit(t, proxy, '127.0.0.2')).answer(), kind.welcome);
  for (const address of ['127.0.0.3', '127.0.0.4']) assert.equal(await (await visit(t, proxy, address)).refusal(), 'too-many-from-address');
  await relay.stop();
  assert.equal(relay.completeLog.match(/ignored an x-forwarded-for/g)?.length, 1, relay.completeLog);
});

test('pages that the proxy serves meet at the relay behind it, with no relay named', async (t) => {
  const port = await freePort();
  const relay = await startRelay({ options: ['--trusted-proxy', '127.0.0.1/32', '--allow-origin', `http://127.0.0.1:${port}`] });
  const proxy = await startNginx(t, relay, port);
  const browser = await startBrowser();
  const url = `http://${proxy}/person.html?direct=false&hyperdrive=${encodeURIComponent(newDrive())}`;
  const people = [await openPerson(t, browser, url), await openPerson(t, browser, url)];
  await Promise.all(people.map((person) => person.evaluate(async () => {
    await joins.next();
    window.chat = beaker.peersockets.join('chat');
    window.messages = new Arrivals(chat, 'message');
  })));
  await people[0].evaluate(() => chat.send(1, 'x'.repeat(1_000_000)));
  assert.equal(await people[1].evaluate(async () => (await messages.next()).message.length), 1_000_000);
});

/** Opens a WebSocket at the proxy from an address of this machine. */
async function visit(t, proxy, localAddress, headers = {}) {
  const socket = new WebSocket(`ws://${proxy}/relay`, 'peersockets.relay.v1', { localAddress, headers, perMessageDeflate: false });
  t.after(() => socket.terminate());
  const signal = AbortSignal.timeout(PATIENCE);
  const [answer, end] = [once(socket, 'message', { signal }), once(socket, 'close', { signal })];
  for (const outcome of [answer, end]) outcome.catch(() => {});
  await once(socket, 'open', { signal });
  socket.send(frame(kind.join, randomBytes(32)));
  return {
    socket,
    /** What the relay answers to the JOIN. */
    answer: async () => (await answer)[0][0],
    /** The code with which the relay refuses it. */
    refusal: async () => (await end)[1].toString(),
  };
}

/** Starts an nginx that serves the fixture pages, the package, and the relay by the snippet of deploy/; gives its host. */
async function startNginx(t, relay, port) {
  const directory = await mkdtemp(join(tmpdir(), 'peersockets-nginx-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  port ??= await freePort();
  const snippet = await readFile(join(root, 'deploy/nginx-relay.conf'), 'utf8');
  const ours = snippet.replace('http://127.0.0.1:8787', relay.url);
  assert.notEqual(ours, snippet);
  await writeFile(join(directory, 'nginx.conf'), configuration(directory, port, ours));
  const server = spawn(nginx.program, ['-p', directory, '-c', join(directory, 'nginx.conf'), '-e', 'stderr'], { stdio: ['ignore', 'ignore', 'pipe'] });
  t.after(async () => {
    if (server.exitCode !== null) return;
    const exit = once(server, 'exit');
    server.kill();
    await exit;
  });
  const said = [];
  for await (const line of createInterface({ input: server.stderr, signal: AbortSignal.timeout(PATIENCE) })) {
    said.push(line);
    if (line.includes('start worker process ')) return `127.0.0.1:${port}`;
  }
  throw new Error(`nginx did not start: ${said.join('\n')}`);
}

function configuration(directory, port, snippet) {
  const places = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${directory}/${name};`);
  return `
    ${process.getuid() === 0 ? 'user root;' : ''}
    daemon off;
    pid ${directory}/nginx.pid;
    worker_processes 1;
    error_log stderr notice;
    events {}
    http {
      access_log off;
      ${places.join('\n')}
      types { text/html html; text/javascript js; application/wasm wasm; }
      server {
        listen 127.0.0.1:${port};
        location / { root ${root}tests/e2e/pages; }
        location /pkg/ { alias ${root}pkg/; }
        ${snippet}
      }
    }`;
}

/** A port that is free at the moment. */
async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}
