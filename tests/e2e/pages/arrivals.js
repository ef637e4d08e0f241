// What tests use inside of pages.

/** Keeps the events of one type from now on, so that a test can wait for the next one and miss none. */
class Arrivals {
  /** Every event so far. */
  all = []
  #taken = 0
  #wake = () => {}

  constructor (target, type) {
    target.addEventListener(type, (event) => {
      this.all.push({ ...event })
      this.#wake()
    })
  }

  /** The own properties of the next event that was not taken yet. */
  async next () {
    const [event] = await this.take(1)
    return event
  }

  /** Those of the next few events. */
  async take (count) {
    while (this.all.length < this.#taken + count) await new Promise((resolve) => { this.#wake = resolve })
    const events = this.all.slice(this.#taken, this.#taken + count)
    this.#taken += count
    return events
  }

  /** Takes events up to the one that says this state. */
  async until (state) {
    while ((await this.next()).state !== state);
  }
}

/** What these objects tell from now on, in order and in words, such as `state ready`, `join 1`, `message hello`. */
function story (...targets) {
  const lines = []
  for (const target of targets) {
    for (const type of ['state', 'join', 'leave', 'message']) {
      target.addEventListener(type, ({ state, message, peerId }) => {
        lines.push(`${type} ${state ?? (message ? text(message) : peerId)}`)
      })
    }
  }
  return lines
}

/** The text of a message. */
function text (bytes) {
  return new TextDecoder().decode(bytes)
}

/** The SHA-256 of a message, in base64. */
async function digest (bytes) {
  return btoa(String.fromCharCode(...new Uint8Array(await crypto.subtle.digest('SHA-256', bytes))))
}
