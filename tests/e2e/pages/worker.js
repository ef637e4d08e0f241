// A worker of any kind that has the package, and uses it as it is told through a port.
import { PeerSockets } from '/pkg/dist/index.js'

addEventListener('message', ({ ports }) => serve(ports[0]))
addEventListener('connect', ({ ports: [own] }) => {
  own.onmessage = ({ ports }) => serve(ports[0])
})

/** Takes the options, then messages to send and events of the browser's to act out; tells all events of the package. */
function serve (port) {
  let topic
  const tell = (target, ...types) => {
    for (const type of types) {
      target.addEventListener(type, ({ state, peerId, message, error }) => {
        const text = error ? error.message : message && new TextDecoder().decode(message)
        port.postMessage([type, { state, peerId, text }])
      })
    }
  }
  port.onmessage = ({ data: { options, peerId, text, event } }) => {
    if (event) return dispatchEvent(new Event(event))
    if (topic) return topic.send(peerId, text)
    const sockets = new PeerSockets(options)
    topic = sockets.join('chat')
    tell(sockets, 'state', 'error')
    tell(sockets.watch(), 'join', 'leave')
    tell(topic, 'message')
  }
}
