import { byId, copy } from './dom.js';
import { isOnThisComputer } from './origin.js';

/** The example program of the Beaker documentation, unchanged. */
const PROGRAM = `// maintain a list of active peers
var peerIds = new Set()
var peerEvents = beaker.peersockets.watch()
peerEvents.addEventListener('join', e => {
  peerIds.add(e.peerId)
})
peerEvents.addEventListener('leave', e => {
  peerIds.delete(e.peerId)
})

// send and receive 'chat' messages
var topic = beaker.peersockets.join('chat')
function sendToAll (message) {
  message = new TextEncoder('utf-8').encode(message)
  for (let peerId of peerIds) {
    topic.send(peerId, message)
  }
}
topic.addEventListener('message', e => {
  console.log('peer', e.peerId, 'says', new TextDecoder().decode(e.message))
})`;

/** Shows a page that meets this one: the example, and what it needs around it. */
export class Example {
  constructor(drive) {
    const place = byId('example');
    place.textContent = pageFor(drive);
    byId('example-remark').textContent = drive.text === undefined
      ? 'Beside this page, on the same server, it meets the visitors of this one; elsewhere it needs the name of a private drive.'
      : `It names this drive and this relay, so it meets the visitors of this page from ${isOnThisComputer ? 'any page on this computer' : 'wherever this relay can be reached'}.`;
    const button = byId('copy-example');
    button.addEventListener('click', () => copy(place.textContent, button, () => getSelection().selectAllChildren(place)));
  }

  /** It turned out that the drive is none, so no page can name it. */
  withdraw() {
    byId('example-panel').hidden = true;
  }
}

function pageFor(drive) {
  const here = (path) => new URL(path, document.baseURI).href;
  // Without a name the drive is that of the page's own origin, so a page elsewhere needs one.
  const name = drive.text === undefined ? [] : [`<meta name="hyperdrive" content="${escape(drive.text)}">`];
  return [
    '<!doctype html>',
    ...name,
    `<meta name="peersockets-relay" content="${here('relay').replace(/^http/, 'ws')}">`,
    `<script src="${here('pkg/polyfill.global.js')}"></script>`,
    '<script>',
    PROGRAM,
    '</script>',
  ].join('\n');
}

function escape(text) {
  return text.replaceAll('&', '&amp;').replaceAll('"', '&quot;');
}
