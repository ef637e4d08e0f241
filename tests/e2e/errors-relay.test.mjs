// What goes wrong with relays: what people read, and what becomes of it.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { createServer as createProxy, request as forward } from 'node:http';
import { createServer } from 'node:net';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { WebSocketServer } from 'ws';
import { newDrive, openPerson, startBrowser } from './support/browser.mjs';
import { listen, nextError, open, visitSecurely, warnings } from './support/package-page.mjs';
import { startRecorder } from './support/recorder.mjs';
import { frame, kind } from './support/relay-frames.mjs';
import { startRelay } from './support/relay.mjs';
import { startWebServer } from './support/web-server.mjs';

/** What Chromium itself says of sockets and requests that fail; no page can silence that. */
const CHROMIUM = [/^WebSocket connection to '/, /^Failed to load resource: /, /^Access to fetch at .* has been blocked by CORS policy/];

const START_A_RELAY = 'Start a peersockets-relay, or name one that can be reached in install({ relays }) or <meta name="peersockets-relay">; wss:// needs --tls-cert, or a proxy with TLS in front of it, and a dev server has to pass /relay on, with ws: true. One that is named is tried again by itself.';
const CHECK_THE_URL = 'Check the URL: something answers there, but it is no peersockets-relay, whose path is /relay if nobody changed it. A dev server has to pass /relay on, with ws: true.';
const NAME_A_URL = 'Name at most 3 relays, each by a ws:// or wss:// URL, in install({ relays }) or <meta name="peersockets-relay">.';

const browser = await startBrowser();
const relay = await startRelay();

test('no-relay: nothing listens at the URL, and a relay that comes is found', async (t) => {
  const late = await startRelay();
  await late.stop();
  const person = await visit(t, { relays: [late.relayUrl] });
  const url = late.relayUrl;
  assert.deepEqual(await nextError(person), about({ code: 'no-relay', url, text: `no relay answers at ${url}. ${START_A_RELAY}` }));
  assert.equal(await person.evaluate(() => sockets.state), 'offline');

  await late.start();
  await person.evaluate(() => states.until('ready'));
  assert.deepEqual(await person.evaluate(() => errors.all.length), 1, 'one error for all attempts');
});

test('no-relay: what listens at the URL closes without a word', async (t) => {
  const server = createServer((socket) => socket.destroy()).listen(0, '127.0.0.1');
  await once(server, 'listening');
  after(() => server.close());
  const url = `ws://127.0.0.1:${server.address().port}/relay`;
  const person = await visit(t, { relays: [url] });
  assert.deepEqual(await nextError(person), about({ code: 'no-relay', url, text: `no relay answers at ${url}. ${START_A_RELAY}` }));
});

for (const status of [502, 503, 504]) {
  test(`no-relay: the page's server passes requests on to a relay that is down, and answers ${status}`, async (t) => {
    const { url: page, relayUrl: url } = await startWebServer({ answers: { '/relay': { status, type: 'text/html', body: 'Nobody is there.' } } });
    const person = await openPerson(t, browser, `${page}/package.html`);
    person.expect(...CHROMIUM);
    await listen(person, {});
    assert.deepEqual(await nextError(person), about({ code: 'no-relay', url, text: `no relay answers at ${url}. ${START_A_RELAY}` }));
  });
}

test('no-relay: none is named', async (t) => {
  const person = await visit(t, { relays: [] });
  assert.deepEqual(await nextError(person), about({ code: 'no-relay', text: `no relay and no drive peer is named. ${START_A_RELAY}` }));
});

test('not-a-relay: a web server', async (t) => {
  const { relayUrl: url } = await startWebServer({ answers: { '/relay': { status: 200, type: 'text/html', body: 'Welcome!' } } });
  const person = await visit(t, { relays: [url] });
  assert.deepEqual(await nextError(person), about({ code: 'not-a-relay', url, text: `what answers at ${url} is not a relay. ${CHECK_THE_URL}` }));
});

test('not-a-relay: the default relay of a page whose server has none', async (t) => {
  const server = await startWebServer();
  const person = await openPerson(t, browser, `${server.url}/package.html`);
  person.expect(...CHROMIUM);
  await listen(person, {});
  const url = server.relayUrl;
  assert.deepEqual(await nextError(person), about({ code: 'not-a-relay', url, text: `what answers at ${url} is not a relay. ${CHECK_THE_URL}` }));
});

test('not-a-relay: a WebSocket server that knows nothing of relays', async (t) => {
  const url = await startWebSocketServer({ handleProtocols: () => false });
  const person = await visit(t, { relays: [url] });
  assert.deepEqual(await nextError(person), about({ code: 'not-a-relay', url, text: `what answers at ${url} is not a relay. ${CHECK_THE_URL}` }));
});

for (const [what, message, complaint] of [
  ['text', 'Welcome!', 'sent a text message'],
  ['bytes of another protocol', Buffer.of(1, 2), 'sent a malformed frame: a frame ends before its last field'],
  ['a message longer than any may be', Buffer.alloc(65_569), 'sent a message of 65569 bytes'],
  ['a frame before the welcome', Buffer.of(5, 1), 'sent a frame out of turn'],
]) {
  test(`not-a-relay: a server that agrees to the subprotocol and sends ${what}`, async (t) => {
    const url = await startWebSocketServer({}, (socket) => socket.send(message));
    const person = await visit(t, { relays: [url] });
    const text = `${url} is not a relay, or not a sound one: it ${complaint}. ${CHECK_THE_URL}`;
    assert.deepEqual(await nextError(person), about({ code: 'not-a-relay', url, text }));
  });
}

for (const [url, reason] of [
  ['ftp://relay.example/', 'the relay "ftp://relay.example/" cannot be used: it is not ws:// or wss:// and a host'],
  ['ws://', 'the relay "ws://" cannot be used: it is not ws:// or wss:// and a host'],
  ['', 'the relay "" cannot be used: it is not ws:// or wss:// and a host'],
  ['ws://relay.example:99999/', 'ws://relay.example:99999/ is no URL of a relay'],
]) {
  test(`bad-relay-url: ${JSON.stringify(url)}, and the good one beside it is used`, async (t) => {
    const person = await visit(t, { relays: [url, relay.relayUrl] });
    assert.deepEqual(await nextError(person), about({ code: 'bad-relay-url', url, text: `${reason}. ${NAME_A_URL}` }));
    await person.evaluate(() => states.until('ready'));
  });
}

for (const shorten of [({ url }) => url, ({ url }) => url.replace('http', 'ws'), ({ url }) => url.replace('http://', '')]) {
  test(`a relay is found where only its server is named: ${shorten({ url: 'http://host:port' })}`, async (t) => {
    const person = await visit(t, { relays: [shorten(relay)] });
    await person.evaluate(() => states.until('ready'));
    assert.equal(await person.evaluate(() => sockets.stats().relays[0].url), relay.relayUrl);
  });
}

test('unknown-option: a misspelt drive is named, and no room is joined, not even that of the origin', async (t) => {
  const person = await visit(t, { Drive: newDrive(), relays: [relay.relayUrl] });
  const text = 'there is no option "Drive", only drive, relays, peers, direct, directPeers, iceServers, sessionTime, wasm, force. Correct the name; a page with a wrong one connects to nobody.';
  assert.deepEqual(await nextError(person), about({ code: 'unknown-option', text }));
  assert.deepEqual(await person.evaluate(() => [sockets.state, sockets.stats().relays]), ['failed', []]);
});

test('no-websocket: a proxy passes the request on to the relay, but not the upgrade', async (t) => {
  const proxy = createProxy((request, answer) => {
    const { host, connection, upgrade, ...headers } = request.headers;
    request.pipe(forward(relay.url + request.url, { headers, method: request.method }, (answered) => {
      answer.writeHead(answered.statusCode, answered.headers);
      answered.pipe(answer);
    }));
  });
  // Node without a listener of `upgrade` takes it for any other request, and nginx passes on neither header.
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  t.after(() => proxy.close().closeAllConnections());
  const url = `ws://127.0.0.1:${proxy.address().port}/relay`;
  const person = await visit(t, { relays: [url] });
  const { code, text } = await nextError(person);
  assert.equal(code, 'no-websocket');
  assert.ok(text.startsWith(`a relay answers at ${url}, but no WebSocket to it opens. Let the proxy or dev server in front of the relay pass on the Upgrade`), text);
});

test('not-a-peer: a relay that is named as a drive peer', async (t) => {
  const person = await visit(t, { drive: newDrive(), peers: [relay.relayUrl] });
  const text = `${relay.relayUrl} is a relay, not a drive peer. Check the URL: what answers there does not replicate a drive on a WebSocket. A relay is named in relays.`;
  assert.deepEqual(await nextError(person), about({ code: 'not-a-peer', url: relay.relayUrl, text }));
});

test('bad-relay-url: a fourth relay', async (t) => {
  const urls = [1, 2, 3, 4].map((number) => `${relay.relayUrl}?${number}`);
  const person = await visit(t, { relays: urls });
  const text = `the relay "${urls[3]}" cannot be used: 3 relays are used already. ${NAME_A_URL}`;
  assert.deepEqual(await nextError(person), about({ code: 'bad-relay-url', url: urls[3], text }));
});

test('mixed-content: a secure page may not use an unencrypted relay elsewhere', async (t) => {
  const person = await openPerson(t, browser);
  person.expect(...CHROMIUM, /^Mixed Content: /);
  await visitSecurely(person);
  await listen(person, { relays: ['ws://relay.test/relay'] });
  const text = 'a secure page may not open ws://relay.test/relay. An https page may only use wss:// relays and peers: put the relay or peer behind TLS.';
  assert.deepEqual(await nextError(person), about({ code: 'mixed-content', url: 'ws://relay.test/relay', text }));
});

test('socket-blocked-by-csp: the policy and its remedy are named at once', async (t) => {
  const server = await startWebServer({ headers: { 'content-security-policy': "script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'" } });
  const person = await openPerson(t, browser, `${server.url}/package.html`);
  person.expect(...CHROMIUM, /Content Security Policy/);
  await listen(person, { relays: [relay.relayUrl] });
  const url = relay.relayUrl;
  const text = `the page's Content-Security-Policy forbids ${url}. Add the URL to connect-src in the page's Content-Security-Policy; ws: and wss: there allow all.`;
  assert.deepEqual(await nextError(person), about({ code: 'socket-blocked-by-csp', url, text }));
});

test('room-full: the relay says how many it takes, and who was refused gets in when somebody leaves', async (t) => {
  const small = await startRelay({ options: ['--room-members', '2'] });
  const drive = newDrive();
  const people = [await visit(t, { drive, relays: [small.relayUrl] }), await visit(t, { drive, relays: [small.relayUrl] })];
  for (const person of people) await person.evaluate(() => states.until('ready'));
  const refused = await visit(t, { drive, relays: [small.relayUrl] });
  const url = small.relayUrl;
  assert.deepEqual(await nextError(refused), about({
    code: 'room-full', url,
    text: `${url} refuses: the room is full: this relay takes 2 members. Too many devices have this drive open on that relay. It is tried again by itself; another relay has another room.`,
  }));

  await people[0].page.close();
  await refused.evaluate(() => states.until('ready'));
});

for (const { code, options, reason, remedy } of [
  {
    code: 'address-room-full', options: ['--room-members-per-address', '1'],
    reason: 'the room is full for this address: this relay takes 1 members of one address',
    remedy: 'Too many devices from one address have this drive open on that relay. It is tried again by itself.',
  },
  {
    code: 'too-many-connections', options: ['--connections', '1'],
    reason: 'this relay is full: it takes 1 connections',
    remedy: 'The relay is full. It is tried again by itself; its operator can raise its limit.',
  },
  {
    code: 'too-many-from-address', options: ['--connections-per-address', '1'],
    reason: 'this relay takes 1 connections of one address',
    remedy: 'The relay has too many connections from this address. It is tried again by itself; its operator can raise its limit.',
  },
  {
    code: 'too-fast', options: ['--new-connections-burst', '1', '--new-connections-per-second', '1'],
    reason: 'too many new connections from this address: this relay takes 1 at once, then 1 per second',
    remedy: 'Open fewer pages at once from this address. The relay is tried again by itself; its operator can raise its limit.',
  },
]) {
  test(`${code}: the relay's limit is named`, async (t) => {
    const strict = await startRelay({ limits: 'default', options });
    const drive = newDrive();
    const url = strict.relayUrl;
    // There first, so that little time passes between the two connections.
    const second = await visit(t);
    const first = await visit(t, { drive, relays: [url] });
    await first.evaluate(() => states.until('ready'));
    await listen(second, { drive, relays: [url] });
    assert.deepEqual(await nextError(second), about({ code, url, text: `${url} refuses: ${reason}. ${remedy}` }));
  });
}

test('unauthorized: a relay wants a token, which no error, no warning and no statistics show', async (t) => {
  const [token, wrong] = ['right', 'wrong'].map((word) => word.padEnd(40, '-'));
  const strict = await startRelay({ options: ['--auth-token', token] });
  const remedy = 'Ask the operator of the relay to allow the origin of this page, or for a token, and name the relay as wss://host/relay?token=TOKEN. It is tried again by itself.';
  const url = strict.relayUrl;
  const without = await visit(t, { relays: [url] });
  const text = `${url} refuses: this relay wants a token: name it as wss://.../relay?token=TOKEN. ${remedy}`;
  assert.deepEqual(await nextError(without), about({ code: 'unauthorized', url, text }));

  const mistaken = await visit(t, { relays: [`${url}?token=${wrong}`] });
  const shown = `${url}?token=…`;
  assert.deepEqual(await nextError(mistaken), about({ code: 'unauthorized', url: shown, text: `${shown} refuses: the token for this relay is wrong. ${remedy}` }));

  const person = await visit(t, { relays: [`${url}?token=${token}`] });
  await person.evaluate(() => states.until('ready'));
  assert.deepEqual(await person.evaluate(() => sockets.stats().relays.map(({ url, state }) => [url, state])), [[shown, 'joined']]);
  for (const one of [mistaken, person]) assert.ok(!JSON.stringify(await warnings(one)).includes('-----'));
});

test('unauthorized: a token that was signed for one drive opens no other', async (t) => {
  const secret = 'an-operators-secret'.padEnd(40, '-');
  const strict = await startRelay({ options: ['--room-secret', secret] });
  const drive = newDrive();
  const program = fileURLToPath(new URL('../../target/release/peersockets-relay', import.meta.url));
  const env = { ...process.env, PEERSOCKETS_ROOM_SECRET: secret };
  const { stdout: token } = await promisify(execFile)(program, ['token', '--drive', drive, '--for', '1h'], { env });
  const relays = [`${strict.relayUrl}?token=${token.trim()}`];
  const person = await visit(t, { drive, relays });
  await person.evaluate(() => states.until('ready'));
  const elsewhere = await visit(t, { drive: newDrive(), relays });
  const { code, text } = await nextError(elsewhere);
  assert.equal(code, 'unauthorized');
  assert.ok(text.startsWith(`${strict.relayUrl}?token=… refuses: the token for this relay is one for another drive. `), text);
});

test('unauthorized: a page of an origin that the relay does not serve', async (t) => {
  const strict = await startRelay({ options: ['--allow-origin', 'https://example.org'] });
  const url = strict.relayUrl;
  const { code, text } = await nextError(await visit(t, { relays: [url] }));
  assert.equal(code, 'unauthorized');
  assert.ok(text.startsWith(`${url} refuses: this relay does not serve pages of this origin. `), text);

  const open = await startRelay({ options: ['--allow-origin', relay.url] });
  const person = await visit(t, { relays: [open.relayUrl] });
  await person.evaluate(() => states.until('ready'));
});

test('refused: a relay that says that we crashed is quoted, and the other relay is used', async (t) => {
  const string = (words) => Buffer.concat([Buffer.of(words.length), Buffer.from(words)]);
  const url = await startWebSocketServer({}, (socket) => {
    socket.once('message', () => socket.send(frame(kind.refused, string('crashed'), string('goodbye'))));
  });
  const person = await visit(t, { relays: [url, relay.relayUrl] });
  const error = await nextError(person);
  assert.equal(error.code, 'refused');
  assert.ok(error.text.startsWith(`${url} refuses, "crashed": goodbye. `), error.text);
  await person.evaluate(() => states.until('ready'));
});

test('a frame that was damaged on the way is not used, and what was in it comes again on another circuit', async (t) => {
  const { alice, bob, damageNext } = await meetThroughDamage(t, {});
  damageNext();
  await bob.evaluate(() => topic.send(1, 'damaged on the way'));
  assert.equal(await alice.evaluate(async () => text((await messages.next()).message)), 'damaged on the way');
  await alice.evaluate(() => topic.send(1, 'and back'));
  assert.equal(await bob.evaluate(async () => text((await messages.next()).message)), 'and back');
  for (const person of [alice, bob]) assert.deepEqual(await person.evaluate(() => [joins.all.length, leaves.all.length]), [1, 0]);
  assert.equal(await alice.evaluate(() => errors.all.length), 0);
});

test('peer-misbehaved: where no session is kept, the peer whose frame was damaged leaves and comes back as the same', async (t) => {
  const { alice, bob, damageNext, url } = await meetThroughDamage(t, { sessionTime: 0 });
  damageNext();
  await bob.evaluate(() => topic.send(1, 'damaged on the way'));
  assert.deepEqual(await nextError(alice), about({
    code: 'peer-misbehaved', peerId: 1, url,
    text: `a frame from the peer was damaged on the way (${url}). Nothing here needs to be done: its connection was closed. Its user should update its software.`,
  }));
  await alice.evaluate(async () => [await leaves.next(), await joins.next()]);
  await bob.evaluate(async () => [await leaves.next(), await joins.next(), topic.send(1, 'whole')]);
  assert.equal(await alice.evaluate(async () => text((await messages.next()).message)), 'whole');
  assert.deepEqual(await alice.evaluate(() => joins.all.map(({ peerId }) => peerId)), [1, 1]);
});

/** Two people who have met; the next frame that the first gets from a circuit can be damaged. */
async function meetThroughDamage(t, options) {
  let damages = false;
  const change = (bytes, from) => {
    if (!damages || from !== 'relay' || bytes[0] !== kind.data) return bytes;
    damages = false;
    const damaged = Buffer.from(bytes);
    damaged[damaged.length - 1] ^= 1;
    return damaged;
  };
  const recorder = await startRecorder(relay, { change });
  const drive = { url: newDrive(), ...options };
  const [alice, bob] = [await visit(t), await visit(t)];
  await open(alice, drive, recorder, 'chat');
  await alice.evaluate(() => { window.errors = new Arrivals(sockets, 'error'); });
  await open(bob, drive, relay, 'chat');
  for (const person of [alice, bob]) await person.evaluate(() => joins.next());
  return { alice, bob, url: recorder.relayUrl, damageNext: () => { damages = true; } };
}

test('with nobody listening each code is one line in the console: what, URL, remedy', async (t) => {
  const person = await openPerson(t, browser, `${relay.url}/package.html`);
  person.expect(...CHROMIUM, /^\[beaker-peersockets\] bad-relay-url: /);
  await person.evaluate(async (good) => {
    window.sockets = new PeerSockets({ relays: ['ftp://one.example/', 'ftp://two.example/', good] });
    while (sockets.state !== 'ready') await new Promise((resolve) => sockets.addEventListener('state', resolve, { once: true }));
  }, relay.relayUrl);
  assert.deepEqual(await warnings(person), [
    `[beaker-peersockets] bad-relay-url: the relay "ftp://one.example/" cannot be used: it is not ws:// or wss:// and a host. ${NAME_A_URL}`,
  ]);
});

/** A page that listens to errors, with these options; a page that has only the package without. */
async function visit(t, options) {
  const person = await openPerson(t, browser, `${relay.url}/package.html`);
  person.expect(...CHROMIUM);
  if (options) await listen(person, options);
  return person;
}

/** An error about nothing but what is named. */
function about(properties) {
  return { url: undefined, topic: undefined, peerId: undefined, message: undefined, ...properties };
}

/** Starts a WebSocket server that is no relay; it ends with the test file. */
async function startWebSocketServer(options, onConnection = () => {}) {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0, handleProtocols: ([first]) => first, ...options });
  server.on('connection', onConnection);
  after(() => {
    for (const client of server.clients) client.terminate();
    server.close();
  });
  await once(server, 'listening');
  return `ws://127.0.0.1:${server.address().port}/`;
}
