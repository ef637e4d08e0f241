// The package while somebody develops: Vite's server replaces modules in the page, and React mounts everything twice.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, test } from 'node:test';
import { createServer } from 'vite';
import { newDrive, openPerson, personUrl, startBrowser } from '../e2e/support/browser.mjs';
import { startRelay } from '../e2e/support/relay.mjs';
import { newProject } from './support/project.mjs';
import { codeBlocks } from './support/readme.mjs';

const browser = await startBrowser();
const relay = await startRelay();
const readme = await codeBlocks(new URL('../../pkg/README.md', import.meta.url));
const [documented] = readme.filter(({ language }) => language === 'jsx');
const meta = await readFile(new URL('../e2e/pages/meta.js', import.meta.url), 'utf8');

/** A component that does `setUp` in its effect, and gives back what ends it. */
const component = (setUp, outside = '') => `
  import { PeerSockets, install } from 'beaker-peersockets'
  import { useEffect, useState } from 'react'

  export function Peers() {
    ${outside}
    const [peers, setPeers] = useState([])
    useEffect(() => {
      ${setUp}
      const peerEvents = sockets.watch()
      const show = () => setPeers(peerEvents.peers)
      peerEvents.addEventListener('join', show)
      peerEvents.addEventListener('leave', show)
      return () => CLOSE
    }, [])
    return <p>{peers.length} others are here</p>
  }
`;

/** The ways to write a component that shows how many others are here. */
const lasting = {
  'as the README has it': documented.code,
  'install() in an effect': component('const sockets = install()').replace('CLOSE', 'peerEvents.close()'),
  'install() in the state': component('', 'const [sockets] = useState(() => install())').replace('CLOSE', 'peerEvents.close()'),
};
const leaving = {
  'new PeerSockets() in an effect that closes it': component('const sockets = new PeerSockets()').replace('CLOSE', 'sockets.close()'),
  'install() in an effect that closes it': component('const sockets = install()').replace('CLOSE', 'sockets.close()'),
};
const ways = Object.entries({ ...lasting, ...leaving });

const project = await newProject({
  'index.html': '<!doctype html><meta charset="utf-8"><title>A page</title><link rel="icon" href="data:,"><script src="/meta.js"></script><div id="app"></div><script type="module" src="/src/main.jsx"></script>',
  'plain.html': '<!doctype html><meta charset="utf-8"><title>A page</title><link rel="icon" href="data:,"><script src="/meta.js"></script><script type="module" src="/src/plain.js"></script>',
  'public/meta.js': meta,
  'src/main.jsx': `
    import { StrictMode } from 'react'
    import { createRoot } from 'react-dom/client'

    const ways = import.meta.glob('./way-*.jsx')
    const { Peers } = await ways['./way-' + new URLSearchParams(location.search).get('way') + '.jsx']()
    createRoot(document.getElementById('app')).render(<StrictMode><Peers /></StrictMode>)
  `,
  ...Object.fromEntries(ways.map(([, code], number) => [`src/way-${number}.jsx`, code])),
  'src/plain.js': `
    import { install } from 'beaker-peersockets'

    const peerEvents = install().watch()
    peerEvents.addEventListener('join', () => console.log(peerEvents.peers.length, 'others are here'))

    import.meta.hot.accept()
    import.meta.hot.dispose(() => peerEvents.close())
  `,
  'vite.config.js': `
    import react from '@vitejs/plugin-react'

    export default {
      plugins: [react()],
      server: { proxy: { '/relay': { target: '${relay.relayUrl.replace('/relay', '')}', ws: true } } },
    }
  `,
}, ['vite', '@vitejs/plugin-react', 'react', 'react-dom']);
const server = await createServer({ root: project.directory, logLevel: 'warn', server: { host: '127.0.0.1', port: 0 } });
after(() => server.close());
await server.listen();
const [url] = server.resolvedUrls.local;

test('a module that installs is replaced: one socket, and nobody sees it leave', async (t) => {
  const { developer, observer, sockets } = await begin(t, 'plain.html');
  await developer.line('1 others are here');

  const replaced = developer.page.waitForEvent('console', (message) => message.text() === '1 others are around');
  await edit('src/plain.js');
  await replaced;
  await stillHere(developer, observer);
  assert.deepEqual(await seenBy(observer), { joins: [1], leaves: [] });
  assert.equal(sockets.length, 1);
});

for (const [number, [way]] of ways.entries()) {
  const lasts = way in lasting;
  test(`React in strict mode, ${way}: one socket and one join${lasts ? ', also after an edit' : '; after an edit it leaves and joins once'}`, async (t) => {
    const { developer, observer, sockets } = await begin(t, 'index.html', { way: number });
    await developer.page.getByText('1 others are here').waitFor();
    assert.deepEqual(await seenBy(observer), { joins: [1], leaves: [] });
    assert.equal(sockets.length, 1);

    await edit(`src/way-${number}.jsx`);
    await developer.page.getByText('1 others are around').waitFor();
    if (lasts) {
      await stillHere(developer, observer);
      assert.deepEqual(await seenBy(observer), { joins: [1], leaves: [] });
      assert.equal(sockets.length, 1);
    } else {
      await observer.evaluate(() => Promise.all([joins.take(2), leaves.next()]));
      assert.deepEqual(await seenBy(observer), { joins: [1, 2], leaves: [1] });
      if (!sockets[0].isClosed()) await sockets[0].waitForEvent('close');
      assert.deepEqual(sockets.map((socket) => socket.isClosed()), [true, false]);
    }
  });
}

/** A developer with a page of Vite's server open, and somebody of the same drive. */
async function begin(t, page, parameters = {}) {
  const drive = newDrive();
  const observer = await openPerson(t, browser, personUrl(relay, { drive }));
  const developer = await openPerson(t, browser);
  const sockets = [];
  developer.page.on('websocket', (socket) => {
    if (new URL(socket.url()).pathname === '/relay') sockets.push(socket);
  });
  await developer.page.goto(`${new URL(page, url)}?${new URLSearchParams({ hyperdrive: drive, ...parameters })}`);
  return { developer, observer, sockets };
}

/** Changes what a module says, and the state of its component, for which React mounts that anew. */
async function edit(file) {
  const text = await readFile(project.path(file), 'utf8');
  await project.write({ [file]: text.replace('others are here', 'others are around').replace('useState([])', 'useState(useState([])[0])') });
}

/** Resolves when the observer got a message that the developer's page sent now: what happened to that before, it has seen before. */
async function stillHere(developer, observer) {
  await observer.evaluate(() => { window.messages = new Arrivals(beaker.peersockets.join('after'), 'message'); });
  await developer.evaluate(() => beaker.peersockets.join('after').send(1, 'still here'));
  assert.equal(await observer.evaluate(async () => text((await messages.next()).message)), 'still here');
}

function seenBy(observer) {
  return observer.evaluate(() => ({ joins: joins.all.map(({ peerId }) => peerId), leaves: leaves.all.map(({ peerId }) => peerId) }));
}
