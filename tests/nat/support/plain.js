// A bare RTCPeerConnection in a page, without anything of ours. Its description is complete before it is handed over.

/** One end of a connection with one data channel. */
class PlainConnection {
  #connection
  #channel
  #message

  constructor (iceServers) {
    this.#connection = new RTCPeerConnection({ iceServers })
    this.#channel = this.#connection.createDataChannel('plain', { negotiated: true, id: 0 })
    this.#message = new Promise((resolve) => { this.#channel.onmessage = ({ data }) => resolve(data) })
  }

  /** A description of this end, with all its candidates: an offer, or the answer to what the other end has described. */
  async describe (remote) {
    if (remote) await this.#connection.setRemoteDescription(remote)
    await this.#connection.setLocalDescription()
    await this.#until('icegatheringstate', () => this.#connection.iceGatheringState === 'complete')
    return this.#connection.localDescription.toJSON()
  }

  accept (answer) {
    return this.#connection.setRemoteDescription(answer)
  }

  /** `failed`, or the kind of the candidate by which the other end is reached, once that is known. */
  async outcome () {
    await this.#until('connectionstate', () => ['connected', 'failed'].includes(this.#connection.connectionState))
    if (this.#connection.connectionState === 'failed') return 'failed'
    const { local, remote } = this.#connection.sctp.transport.iceTransport.getSelectedCandidatePair()
    return [local.type, remote.type].includes('relay') ? 'relayed' : 'direct'
  }

  /** Says something to the other end, and gives what that says. */
  async exchange (text) {
    if (this.#channel.readyState !== 'open') await new Promise((resolve) => { this.#channel.onopen = resolve })
    this.#channel.send(text)
    return this.#message
  }

  async #until (state, holds) {
    while (!holds()) await new Promise((resolve) => this.#connection.addEventListener(`${state}change`, resolve, { once: true }))
  }
}

/** The addresses by which these servers know a new socket of this page. */
async function addressesSeenBy (iceServers) {
  const end = new PlainConnection(iceServers)
  const { sdp } = await end.describe()
  return [...sdp.matchAll(/^a=candidate:\S+ 1 udp \d+ (\S+) (\d+) typ srflx /gm)].map(([, address, port]) => `${address}:${port}`)
}
