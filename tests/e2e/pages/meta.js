// Each part of the address's query becomes a <meta>, as an author would write it: ?hyperdrive=hyper://...&peersockets-relay=ws://...
for (const [name, content] of new URLSearchParams(location.search)) {
  document.head.append(Object.assign(document.createElement('meta'), { name, content }))
}

// No <meta> says direct: false, so ?direct=false makes this a browser without WebRTC: all that the page says passes its relay.
if (new URLSearchParams(location.search).get('direct') === 'false') delete window.RTCPeerConnection
