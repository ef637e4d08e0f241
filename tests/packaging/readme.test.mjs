// The code in the READMEs does what is written beside it: every block is run as it stands, in the place it is written for.
// A block that nobody runs here fails.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { on, once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { createServer } from 'vite';
import { WebSocket } from 'ws';
import { openPerson, startBrowser } from '../e2e/support/browser.mjs';
import { startRelay } from '../e2e/support/relay.mjs';
import { startCdn } from './support/cdn.mjs';
import { pageWith, twoGreetEachOther, withTwoPeople } from './support/chat.mjs';
import { newProject } from './support/project.mjs';
import { codeBlocks } from './support/readme.mjs';
import { startRegistry } from './support/registry.mjs';

const root = fileURLToPath(new URL('../../', import.meta.url));
/** Who greets whom it sees, where the code of the block does not. */
const GREETING = `
  chat.addEventListener('message', ({ peerId, message }) => console.log(\`peer \${peerId} says \${new TextDecoder().decode(message)}\`))
  window.beaker.peersockets.watch().addEventListener('join', ({ peerId }) => chat.send(peerId, 'hello'))
`;

/** What a page says whose relay or peer ends when the test does: they end first. */
const ENDS_BEFORE_ITS_PAGE = [/^WebSocket connection to /, /^Failed to load resource: net::ERR_/, /^\[beaker-peersockets\] no-(peer|relay): /];

const browser = await startBrowser();

/** What is done with the blocks of each file: for a language under a heading, one function for each block, in their order. */
const covered = {
  'README.md': {
    'html under beaker-peersockets': [runBeakerExample],
    'sh under Try it': [runFromAClone],
    'sh under Your own page': [installFromNpm, copyBesideTheBundle, buildAndServe],
    'js under Your own page': [(t, code) => runInPage(t, code + GREETING)],
    'sh under From a clone': [installFromAClone],
    'sh under Native peers': [namesTestedVersions],
    'js under Native peers': [runNativePeer, runPlainPeer, runPageOfPlainPeer],
    'text under The way of one message': [isNoCode],
    'js under Sending much': [sendFile],
    'sh under The relay': [startFromNpm],
    'js under The relay': [configureVite],
    'nginx under In production': [passesTheUpgradeOn],
    'text under In production': [passesTheRelayOn],
    'text under Servers for direct connections': [isPartOfTheDeployment],
    'sh under Servers for direct connections': [announcesServers],
  },
  // As it is in the package, where the version and the hash are filled in.
  'pkg/README.md': {
    'sh under beaker-peersockets': [installFromNpm],
    'js under beaker-peersockets': [runMainExample],
    'sh under Your tools': [copyBesideTheBundle],
    'js under Your tools': [configureVite],
    'html under Without tools': [runFromUnpkg, runFromUnpkg],
    'jsx under React': [showInReact],
    'js under The WebAssembly by hand': [buildSlim],
    'sh under Native peers': [namesTestedVersions],
    'js under Native peers': [runNativePeer, runPlainPeer],
  },
};

for (const [file, runners] of Object.entries(covered)) {
  const left = Object.fromEntries(Object.entries(runners).map(([place, functions]) => [place, [...functions]]));
  for (const { language, heading, line, code } of await codeBlocks(join(root, file))) {
    const place = `${language} under ${heading}`;
    const run = left[place]?.shift();
    test(`${file}, line ${line}: ${place}`, (t) => {
      assert.ok(run, 'nothing runs this code: say in tests/packaging/readme.test.mjs what does');
      return run(t, code);
    });
  }
  test(`${file} has every block that something is to run`, () => {
    assert.deepEqual(Object.entries(left).filter(([, functions]) => functions.length > 0).map(([place]) => place), []);
  });
}

/** The page of somebody who has the package and the relay: its example works as a whole page. */
async function runBeakerExample(t, code) {
  const relay = await serve(t, { 'index.html': `<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,">${code}` }, { pkg: join(root, 'pkg') });
  await withTwoPeople(t, browser, async (people) => {
    for (const { page } of people) await page.goto(relay.url);
    for (const person of people) {
      await person.evaluate(async () => {
        if (peerIds.size === 0) await new Promise((resolve) => peerEvents.addEventListener('join', resolve));
      });
    }
    for (const [number, person] of people.entries()) {
      await person.evaluate((number) => sendToAll(`hello from ${number}`), number);
      await people[1 - number].line(`peer 1 says hello from ${number}`);
    }
  });
}

/** `npm test` is what runs this; the port of `npm start` may be taken, so it gets another one. */
async function runFromAClone(t, code) {
  const [start, tests, ...others] = code.trim().split('\n').map((line) => line.replace(/ *#.*$/, ''));
  assert.deepEqual([start, tests, others], ['npm start', 'npm test', []]);
  const url = await listening(t, `${start} -- --port 0`, root);
  const person = await openPerson(t, browser, url);
  await person.evaluate(async () => {
    const { beaker } = await import('/pkg/dist/polyfill.js').then(() => globalThis);
    while (beaker.peersockets.state !== 'ready') await new Promise((resolve) => beaker.peersockets.addEventListener('state', resolve, { once: true }));
  });
  await person.page.close();
}

/** From a registry that has what is built here; the port of the relay may be taken, so it gets another one. */
async function startFromNpm(t, code) {
  const scratch = await mkdtemp(join(tmpdir(), 'start-'));
  t.after(() => rm(scratch, { recursive: true, force: true }));
  const relay = join(root, 'pkg-relay');
  const packages = [join(root, 'pkg'), join(relay, 'beaker-peersockets-relay'), join(relay, `relay-${process.platform}-${process.arch}`)];
  const registry = await startRegistry(packages, scratch);
  t.after(() => registry.close());
  await writeFile(join(scratch, 'package.json'), '{ "private": true }');
  const command = code.replace(/^(npx \S+) +#.*$/m, '$1 --port 0');
  assert.notEqual(command, code);
  // At a terminal npx asks first.
  const env = { ...process.env, npm_config_registry: registry.url, npm_config_cache: join(scratch, 'cache'), npm_config_yes: 'true' };
  const answer = await fetch(`${await listening(t, command, scratch, env)}/health`);
  assert.equal((await answer.json()).status, 'ok');
}

/** In a clone beside somebody's project, and with a registry that has none of it; the port may be taken, so the relay gets another one. */
async function installFromAClone(t, code) {
  const scratch = await mkdtemp(join(tmpdir(), 'beside-'));
  t.after(() => rm(scratch, { recursive: true, force: true }));
  const clone = join(scratch, 'beaker-peersockets');
  const project = join(scratch, 'my-project');
  for (const directory of [clone, project]) await mkdir(directory);
  for (const entry of ['package.json', 'node_modules', 'scripts', 'target', 'pkg', 'pkg-relay']) await symlink(join(root, entry), join(clone, entry));
  await writeFile(join(project, 'package.json'), '{ "private": true }');
  const registry = await startRegistry([], scratch);
  t.after(() => registry.close());
  const command = code.replace(/^(npx \S+) +#.*$/m, '$1 --port 0');
  assert.notEqual(command, code);
  const env = { ...process.env, npm_config_registry: registry.url, npm_config_cache: join(scratch, 'cache'), npm_config_yes: 'false' };
  const answer = await fetch(`${await listening(t, command, clone, env)}/health`);
  assert.equal((await answer.json()).status, 'ok');
  const installed = JSON.parse(await readFile(join(project, 'node_modules/beaker-peersockets/package.json'), 'utf8'));
  assert.equal(installed.name, 'beaker-peersockets');
}

/** Those that the tests have: installing them takes a registry. */
async function namesTestedVersions(t, code) {
  const { devDependencies } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'));
  const tested = ['hyperdrive', 'corestore', 'hypercore', 'ws'].map((name) => `${name}@${devDependencies[name]}`);
  assert.equal(code.trim(), ['npm install beaker-peersockets', ...tested].join(' '));
}

/** What a WebSocket's handshake needs of nginx, which is not here to be run. */
function passesTheUpgradeOn(t, code) {
  for (const directive of ['proxy_http_version 1.1', 'proxy_set_header Upgrade $http_upgrade', 'proxy_set_header Connection upgrade', 'proxy_set_header X-Forwarded-For']) {
    assert.ok(code.includes(directive), directive);
  }
  passesTheRelayOn(t, code);
}

function passesTheRelayOn(t, code) {
  assert.match(code, /\/relay\b[^]*127\.0\.0\.1:8787/);
}

async function installFromNpm(t, code) {
  const project = await newProject();
  await rm(project.path('node_modules'), { recursive: true });
  await project.run('sh', '-ec', code);
  assert.ok((await project.read('dist/index.js')).length > 0);
}

/** Beside what Rollup and esbuild make. */
async function copyBesideTheBundle(t, code) {
  const main = `import { install } from 'beaker-peersockets'\nconst chat = install().join('chat')\n${GREETING}`;
  const project = await newProject({ 'src/main.js': main, 'dist/index.html': pageWith('/main.js') }, ['rollup', '@rollup/plugin-node-resolve']);
  await project.run('rollup', 'src/main.js', '--dir', 'dist', '--format', 'es', '--plugin', 'node-resolve', '--silent');
  await project.run('sh', '-ec', code);
  const relay = await startRelay({ www: project.path('dist') });
  await twoGreetEachOther(t, browser, `${relay.url}/`);
}

/** In a directory that has what a clone has, and a page; the port may be taken, so the relay gets another one. */
async function buildAndServe(t, code) {
  const clone = await mkdtemp(join(tmpdir(), 'clone-'));
  after(() => rm(clone, { recursive: true, force: true }));
  for (const entry of ['package.json', 'node_modules', 'scripts', 'target', 'pkg']) await symlink(join(root, entry), join(clone, entry));
  await mkdir(join(clone, 'my-page'));
  const page = `<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><script src="/pkg/polyfill.global.js"></script>`;
  await writeFile(join(clone, 'my-page/index.html'), `${page}<script>const chat = beaker.peersockets.join('chat')${GREETING}</script>`);
  const command = code.replace(/^(target\S+.*?) +#.*$/m, '$1 --listen 127.0.0.1:0');
  assert.notEqual(command, code);
  await twoGreetEachOther(t, browser, await listening(t, command, clone));
}

/** The example greets, and tells who goes. */
async function runMainExample(t, code) {
  await runInPage(t, code, async ([stays, goes]) => {
    await goes.page.close();
    await stays.line('peer 1 is gone');
  });
}

/** Whoever sees somebody come sends a file of 5 MB. */
async function sendFile(t, code) {
  const program = `${code}
    const chat = install().join('chat')${GREETING}
    const size = 5_000_000
    window.beaker.peersockets.watch().addEventListener('join', ({ peerId }) => sendFile(peerId, new Blob([new Uint8Array(size)])))
    let arrived = 0
    file.addEventListener('message', ({ message }) => {
      arrived += message.length
      if (arrived === size) console.log('the file is here')
    })`;
  await runInPage(t, program, (people) => Promise.all(people.map((person) => person.line('the file is here'))));
}

async function configureVite(t, code) {
  const relay = await startRelay();
  const project = await newProject({
    // The relay's address is the reader's own.
    'vite.config.js': code.replace(/(?:ws|http):\/\/127\.0\.0\.1:8787/, relay.url),
    'index.html': pageWith('/src/main.js'),
    'src/main.js': `import { install } from 'beaker-peersockets'\nconst chat = install().join('chat')\n${GREETING}`,
  }, ['vite']);
  const server = await createServer({ root: project.directory, logLevel: 'warn', server: { host: '127.0.0.1', port: 0 } });
  t.after(() => server.close());
  await server.listen();
  await twoGreetEachOther(t, browser, server.resolvedUrls.local[0]);
}

/** The whole body of a page. What it asks unpkg.com for, a server with the same paths answers. */
async function runFromUnpkg(t, code) {
  const cdn = await startCdn(await newProject());
  const relay = await serve(t, { 'index.html': `<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,">${code}` });
  const asked = [];
  await withTwoPeople(t, browser, async (people) => {
    for (const { context, page } of people) {
      await context.route('https://unpkg.com/**', async (route) => {
        const { pathname } = new URL(route.request().url());
        asked.push(pathname);
        await route.fulfill({ response: await route.fetch({ url: cdn.url + pathname }) });
      });
      await page.goto(relay.url);
    }
    await Promise.all(people.map((person) => person.line('peer 1 says hello')));
  });
  assert.equal(asked.filter((path) => path.endsWith('/dist/peersockets.wasm')).length, 2, asked.join(' '));
}

/** It shows who is here; tests/packaging/development.test.mjs edits it while it runs. */
async function showInReact(t, code) {
  const main = `
    import { createElement } from 'react'
    import { createRoot } from 'react-dom/client'
    import { Peers } from './peers.jsx'

    createRoot(document.body.appendChild(document.createElement('main'))).render(createElement(Peers))
  `;
  const project = await newProject({ 'src/main.js': main, 'src/peers.jsx': code, 'index.html': pageWith('/src/main.js') }, ['vite', '@vitejs/plugin-react', 'react', 'react-dom']);
  await project.write({ 'vite.config.js': `import react from '@vitejs/plugin-react'\nexport default { plugins: [react()] }` });
  await project.run('vite', 'build', '--logLevel', 'warn');
  const relay = await startRelay({ www: project.path('dist') });
  await withTwoPeople(t, browser, async (people) => {
    for (const { page } of people) await page.goto(relay.url);
    for (const { page } of people) await page.getByText('1 others are here').waitFor();
  });
}

function buildSlim(t, code) {
  return runInPage(t, `${code}\nconst chat = window.beaker.peersockets.join('chat')\n${GREETING}`);
}

function isNoCode(t, text) {
  assert.ok(text.length > 0);
}

/** The longer file in deploy/ says all of it too. */
async function isPartOfTheDeployment(t, text) {
  const whole = (await codeBlocks(join(root, 'deploy/README.md'))).find(({ heading }) => heading === 'A TURN server').code;
  assert.ok(text.includes('use-auth-secret\n') && whole.startsWith(text), whole);
}

/** The relay starts so, with a file that this machine has, and tells a member of both servers. */
async function announcesServers(t, code) {
  const secret = join(await mkdtemp(join(tmpdir(), 'peersockets-turn-')), 'turn-secret');
  t.after(() => rm(dirname(secret), { recursive: true, force: true }));
  await writeFile(secret, 'x'.repeat(32));
  const [program, ...words] = code.trim().replace('/etc/peersockets-relay/turn-secret', secret).split(' ');
  assert.equal(program, 'peersockets-relay');
  const relay = await startRelay({ options: words });
  const socket = new WebSocket(relay.relayUrl, 'peersockets.relay.v1');
  t.after(() => socket.terminate());
  const messages = on(socket, 'message', { close: ['close'] });
  await once(socket, 'open');
  socket.send(Uint8Array.of(1, ...new Uint8Array(32)));
  const types = [];
  for await (const [message] of messages) {
    types.push(message[0]);
    if (types.length < 2) continue;
    assert.deepEqual(types, [1, 18]);
    for (const url of words.filter((word) => /^(stun|turn):/.test(word))) assert.ok(message.includes(url), url);
    return;
  }
  assert.fail(`only ${types}`);
}

/** It echoes what a page says to it, at a relay. */
async function runNativePeer(t, code) {
  const relay = await startRelay({ www: join(root, 'tests/e2e/pages') });
  const drive = await startProgram(t, code.replace('ws://127.0.0.1:8787/relay', relay.relayUrl));
  await hearEcho(t, relay, { drive, relays: [relay.relayUrl] });
}

/** The same without a relay, and strangers do not end it. */
async function runPlainPeer(t, code) {
  const relay = await startRelay({ www: join(root, 'tests/e2e/pages') });
  const { drive, url } = await startPlainPeer(t, code);
  await sendNonsense(url);
  await hearEcho(t, relay, { drive, peers: [url] });
}

/** The block before it echoes what this page says. */
async function runPageOfPlainPeer(t, code) {
  const peer = (await codeBlocks(join(root, 'README.md'))).find((block) => block.code.includes('new WebSocketServer'));
  const { drive, url } = await startPlainPeer(t, peer.code);
  const program = code.replace('hyper://…', drive).replace('ws://127.0.0.1:8080', url);
  const project = await newProject({ 'src/main.js': program + GREETING, 'index.html': pageWith('/src/main.js') }, ['vite']);
  await project.run('vite', 'build', '--logLevel', 'warn');
  const person = await openPerson(t, browser, (await startRelay({ www: project.path('dist') })).url);
  person.expect(...ENDS_BEFORE_ITS_PAGE);
  await person.line('peer 1 says hello');
}

/** Its port may be taken, so it gets another one, and says which. */
async function startPlainPeer(t, code) {
  const server = code.replace('new WebSocketServer({ port: 8080,', 'const server = new WebSocketServer({ port: 0,').replace(
    "}).on('connection'", "})\nserver.on('connection'",
  ).replace('console.log(`', 'console.log(`${server.address().port} ');
  const [port, drive] = (await startProgram(t, server)).split(' ');
  return { drive, url: `ws://127.0.0.1:${port}/` };
}

/** What no WebSocket sends, a message longer than any page's, and messages that are no secret stream: each on a connection of its own. */
async function sendNonsense(url) {
  const withoutMask = Buffer.from([0x82, 1, 0]);
  const reserved = Buffer.from([0xff, 0xff, 0xff, 0xff]);
  for (const bytes of [withoutMask, reserved]) await untilClosed(url, (socket) => socket._socket.write(bytes));
  // 1009: the message is too big.
  assert.deepEqual(await untilClosed(url, (socket) => socket.send(Buffer.alloc(65_537))), 1009);
  // The length of a handshake's first message, and nothing that is one.
  await untilClosed(url, (socket) => socket.send(Buffer.concat([Buffer.from([32, 0, 0]), Buffer.alloc(64, 0xff)])));
  await untilClosed(url, (socket) => socket.terminate());
}

/** Opens a WebSocket, sends something, and waits until the other end has had enough of it; gives the code with which that closes. */
async function untilClosed(url, send) {
  const socket = new WebSocket(url).on('error', () => {});
  await once(socket, 'open');
  const closed = once(socket, 'close', { signal: AbortSignal.timeout(20_000) });
  send(socket);
  const [code] = await closed;
  return code;
}

/** Runs a module in a project that has npm's hyperdrive too; gives the line that it prints. */
async function startProgram(t, code) {
  const project = await newProject({ 'program.mjs': code }, ['hyperdrive', 'corestore', 'ws']);
  const child = spawn(process.execPath, ['program.mjs'], { cwd: project.directory, stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(child, 'close');
  t.after(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  const [line] = await once(createInterface({ input: child.stdout }), 'line');
  return line;
}

async function hearEcho(t, relay, options) {
  const person = await openPerson(t, browser, new URL('/package.html', relay.url).href);
  person.expect(...ENDS_BEFORE_ITS_PAGE);
  const heard = await person.evaluate(async (options) => {
    const sockets = new PeerSockets(options);
    const chat = sockets.join('chat');
    const messages = new Arrivals(chat, 'message');
    sockets.watch().addEventListener('join', ({ peerId }) => chat.send(peerId, 'echo'));
    return text((await messages.next()).message);
  }, options);
  assert.equal(heard, 'echo');
}

/** Two people open a page with this program, which Vite built, and greet each other. */
async function runInPage(t, program, afterwards) {
  const project = await newProject({ 'src/main.js': program, 'index.html': pageWith('/src/main.js') }, ['vite']);
  await project.run('vite', 'build', '--logLevel', 'warn');
  const relay = await startRelay({ www: project.path('dist') });
  await twoGreetEachOther(t, browser, relay.url, afterwards);
}

/** A relay that serves these files. */
async function serve(t, files, options = {}) {
  const www = await mkdtemp(join(tmpdir(), 'www-'));
  t.after(() => rm(www, { recursive: true, force: true }));
  for (const [file, text] of Object.entries(files)) await writeFile(join(www, file), text);
  return startRelay({ www, ...options });
}

/** Runs a command that ends in a relay; gives the address that it prints. It is interrupted when the test ends. */
async function listening(t, command, cwd, env = process.env) {
  const child = spawn('sh', ['-ec', command], { cwd, env, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  const lines = [];
  createInterface({ input: child.stderr }).on('line', (line) => lines.push(line));
  t.after(async () => {
    if (child.exitCode !== null) return;
    const ended = once(child, 'close');
    process.kill(-child.pid, 'SIGINT');
    await ended;
  });
  for await (const line of createInterface({ input: child.stdout })) {
    const [, url] = /^listening on (http:\S+)$/.exec(line) ?? [];
    if (url) return url;
  }
  throw new Error(`${command} ended before it listened:\n${lines.join('\n')}`);
}
