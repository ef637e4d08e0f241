// Ends of direct connections, with the package's own modules and the signalling that is the core's otherwise.

import { Lifeline } from '/modules/lifeline.js'
import { Told } from '/modules/peer-connection.js'

/** Every RTCPeerConnection of the page. */
const made = []
window.RTCPeerConnection = class extends RTCPeerConnection {
  constructor (...parameters) {
    super(...parameters)
    made.push(this)
  }
}

const names = Object.fromEntries(Object.entries(Told).map(([name, number]) => [number, name]))

/** One end, and what it tells. */
class End {
  /** What was told, such as `opened`, in order. */
  story = []
  #queues = new Map(Object.keys(Told).map((name) => [name, { told: [], wake () {} }]))

  constructor ({ lifeline = new Lifeline((cause) => { throw cause }), announced = [] } = {}) {
    this.lifeline = lifeline
    this.connection = lifeline.newPeerConnection(announced, (what, payload, mid) => {
      const name = names[what]
      this.story.push(name)
      const queue = this.#queues.get(name)
      queue.told.push(name === 'candidate' ? [payload, mid] : payload)
      queue.wake()
    })
  }

  /** What was told next of this kind; one at a time may wait for each. */
  async next (name) {
    const queue = this.#queues.get(name)
    while (queue.told.length === 0) await new Promise((resolve) => { queue.wake = resolve })
    return queue.told.shift()
  }

  /** Those of its tellings that are not of the way that it takes. */
  get milestones () {
    return this.story.filter((name) => !['candidate', 'connectivity', 'description'].includes(name))
  }
}

/** Passes each candidate on as it comes. */
async function trickle (from, to) {
  for (;;) to.connection.candidate(...await from.next('candidate'))
}

/** Offer and answer. */
async function negotiate (from, to, restart = false) {
  from.connection.offer(restart)
  to.connection.answer(await from.next('description'))
  from.connection.accept(await to.next('description'))
}

/** Two ends that are connected. */
async function connect (one = new End(), other = new End()) {
  trickle(one, other)
  trickle(other, one)
  await negotiate(one, other)
  await Promise.all([one.next('opened'), other.next('opened')])
  return [one, other]
}

/** Whether what one end sends comes out at the other. */
async function passes (from, to, size) {
  const message = crypto.getRandomValues(new Uint8Array(size))
  const sent = message.slice()
  from.connection.send(message)
  message.fill(0)
  const came = await to.next('message')
  return came instanceof ArrayBuffer && await digest(came) === await digest(sent)
}

Object.assign(window, { Lifeline, End, made, trickle, negotiate, connect, passes })
document.documentElement.id = 'ready'
