// What a page does with RTCPeerConnection, seen from before its own scripts run.

{
  const connections = []
  let wake = () => {}

  window.RTCPeerConnection = class extends RTCPeerConnection {
    constructor (configuration) {
      super(configuration)
      connections.push(this)
      for (const state of ['connectionstate', 'icegatheringstate']) this.addEventListener(`${state}change`, () => wake())
      wake()
    }

    close () {
      super.close()
      wake()
    }
  }

  /** All that the page has made. */
  window.connections = connections

  /** Resolves when the page has made a connection of which this holds. */
  window.connectionThat = async (holds) => {
    while (!connections.some(holds)) await new Promise((resolve) => { wake = resolve })
  }
}
