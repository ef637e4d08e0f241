// protomux: the frames that a real Protomux writes, and what it does with the frames that it is given.
//
// Each case is a list of steps on one fresh Protomux. A step is a `call` and what came of it, in order, in `then`.
import { Duplex } from 'node:stream'
import c from 'compact-encoding'
import Protomux from 'protomux'
import { hex, unhex } from './bytes.mjs'
import { frames } from './protomux-frames.mjs'
import { transcripts } from './protomux-transcripts.mjs'

export async function protomux() {
  return { frames: await runAll(frames), transcripts: await runAll(transcripts) }
}

async function runAll(cases) {
  const results = []
  for (const { name, steps } of cases) results.push({ name, steps: await run(name, steps) })
  return results
}

/** What came of each step on a fresh Protomux. */
export async function run(name, steps) {
  const side = new Side()
  const results = []
  for (const step of steps) {
    if (side.stream.destroyed) throw new Error(`${name}: a step after the end of the stream`)
    side[step.call](step)
    await settled()
    results.push({ ...step, then: side.taken() })
  }
  return results
}

// Protomux defers with ticks and promises only, and both are done before the next turn of the event loop.
const settled = () => new Promise(setImmediate)

/** One Protomux over a recorded stream, driven by the steps' calls. */
class Side {
  constructor() {
    this.events = []
    this.channels = new Map()
    this.stream = new RecordedStream((event) => this.events.push(event))
    this.mux = new Protomux(this.stream)
    this.endPairing = null
  }

  taken() {
    return this.events.splice(0)
  }

  receive({ frame }) {
    this.stream.push(unhex(frame))
  }

  cork() {
    this.mux.cork()
  }

  uncork() {
    this.mux.uncork()
  }

  /** createChannel, then open. `types` message types, all raw bytes; `echo` sends each message back. */
  open({ channel: name, protocol, id, handshake, types, echo = false }) {
    const event = (event, fields) => this.events.push({ event, channel: name, ...fields })
    const channel = this.mux.createChannel({
      protocol,
      id: id === null ? null : unhex(id),
      handshake: handshake === null ? null : c.raw,
      messages: Array.from({ length: types }, (_, type) => ({
        onmessage: (payload) => {
          event('message', { type, payload: hex(payload) })
          if (echo) channel.messages[type].send(payload)
        }
      })),
      onopen: (handshake) => event('opened', { handshake: handshake === null ? null : hex(handshake) }),
      onclose: (isRemote) => event('closed', { by: isRemote ? 'remote' : 'local' })
    })
    if (channel === null) return event('not_created')
    channel.open(handshake === null ? undefined : unhex(handshake))
    this.channels.set(name, channel)
  }

  send({ channel, type, payload }) {
    this.channels.get(channel).messages[type].send(unhex(payload))
  }

  close({ channel }) {
    this.channels.get(channel).close()
  }

  /** Ask us about unmatched opens. `accept` is opened in answer; with `hold` the answer waits for `end_pairing`. */
  pair({ protocol, id, accept, hold }) {
    this.mux.pair({ protocol, id: id === null ? null : unhex(id) }, (id) => {
      this.events.push({ event: 'paired', protocol, id: id === null ? null : hex(id) })
      if (accept !== null) this.open(accept)
      if (hold) return new Promise((resolve) => (this.endPairing = resolve))
    })
  }

  end_pairing() {
    this.endPairing()
  }

  /** The remote ends the stream. */
  end() {
    this.stream.push(null)
  }
}

class RecordedStream extends Duplex {
  constructor(record) {
    super({ objectMode: true })
    this.userData = null
    this.record = record
  }

  _read() {}

  write(frame) {
    this.record({ event: 'wrote', frame: hex(frame) })
    return true
  }

  pause() {
    this.record({ event: 'paused' })
    return super.pause()
  }

  resume() {
    // The first one only starts the flow.
    if (this.isPaused()) this.record({ event: 'resumed' })
    return super.resume()
  }

  end() {
    this.record({ event: 'stream_ended' })
    return super.end()
  }

  destroy(error) {
    if (!this.destroyed) this.record({ event: 'stream_destroyed', error: error ? error.message : null })
    return super.destroy(error)
  }
}
