// @hyperswarm/secret-stream: whole sessions with every byte on the wire, and bytes that it refuses.
import { Duplex } from 'node:stream'
import crypto from 'hypercore-crypto'
import { fixedBytes, hex, unhex } from './bytes.mjs'
import { SecretStream, curve, drawFrom, drawFromNowhere, sodium } from './randomness.mjs'

const I = 'initiator'
const R = 'responder'

// A plaintext is `unit` repeated `repeat` times.
const empty = { unit: '', repeat: 1 }
const one = { unit: '07', repeat: 1 }
const fifteen = { unit: '000102030405060708090a0b0c0d0e', repeat: 1 }
const hundred = { unit: hex(Buffer.from('ten bytes ')), repeat: 10 }
const large = { unit: 'a5', repeat: 4096 }
const sizes = [empty, one, fifteen, hundred, large]

const plans = [
  {
    name: 'both static keys given',
    given: { [I]: true, [R]: true },
    pipelined: [],
    data: [...sizes.flatMap((plaintext) => [[I, plaintext], [R, plaintext]]), [I, one], [I, one], [I, one], [R, one], [R, empty]]
  },
  {
    name: 'initiator static key drawn',
    given: { [I]: false, [R]: true },
    pipelined: [],
    data: [...sizes.map((plaintext) => [I, plaintext]), ...sizes.map((plaintext) => [R, plaintext])]
  },
  {
    name: 'both static keys drawn, initiator sends before it has the responder header',
    given: { [I]: false, [R]: false },
    pipelined: sizes,
    data: [...sizes.toReversed().map((plaintext) => [R, plaintext]), [I, hundred], [I, hundred], [R, hundred]]
  }
]

export async function secretStream() {
  const sessions = []
  for (const plan of plans) sessions.push(await session(plan))
  return {
    namespaces: ['hyperswarm/secret-stream', 'hypercore', 'peersockets/1'].map(namespace),
    discovery_keys: ['00'.repeat(32), 'ff'.repeat(32), hex(fixedBytes('drive key'))].map((key) => ({
      key,
      discovery_key: hex(crypto.discoveryKey(unhex(key)))
    })),
    sessions,
    agreements: agreements(sessions[0]),
    refusals: await refusals(sessions[0])
  }
}

function namespace(name) {
  return { name, ids: crypto.namespace(name, name === 'hypercore' ? 2 : 3).map(hex) }
}

async function session(plan) {
  const wire = []
  const send = async (from, kind, plaintext) => {
    const frame = await from.link.take()
    wire.push({ from: from.role, kind, ...plaintext, frame: hex(frame) })
    return frame
  }

  const initiator = new Side(I, plan)
  const first = await send(initiator, 'handshake')

  const responder = new Side(R, plan)
  responder.deliver(first)
  const second = await send(responder, 'handshake')

  initiator.deliver(second)
  const third = await send(initiator, 'handshake')
  const initiatorHeader = await send(initiator, 'header')

  const early = []
  for (const plaintext of plan.pipelined) {
    initiator.stream.write(bytes(plaintext))
    early.push(await send(initiator, 'data', plaintext))
  }

  responder.deliver(third)
  const responderHeader = await send(responder, 'header')
  responder.deliver(initiatorHeader)
  initiator.deliver(responderHeader)

  for (const [i, plaintext] of plan.pipelined.entries()) await arrives(responder, early[i], plaintext)
  for (const [role, plaintext] of plan.data) {
    const [from, to] = role === I ? [initiator, responder] : [responder, initiator]
    from.stream.write(bytes(plaintext))
    await arrives(to, await send(from, 'data', plaintext), plaintext)
  }

  drawFromNowhere()
  const result = {
    name: plan.name,
    handshake_hash: hex(initiator.stream.handshakeHash),
    shared_secrets: {
      ee: hex(curve.dh(responder.ephemeral.publicKey, initiator.ephemeral)),
      es: hex(curve.dh(responder.static.publicKey, initiator.ephemeral)),
      se: hex(curve.dh(responder.ephemeral.publicKey, initiator.static))
    },
    initiator: initiator.record(),
    responder: responder.record(),
    wire
  }
  initiator.stream.destroy()
  responder.stream.destroy()
  return result
}

async function arrives(side, frame, plaintext) {
  const received = event(side.stream, 'data')
  side.deliver(frame)
  const message = await received
  if (!bytes(plaintext).equals(message)) throw new Error(`${side.role} received other bytes than were sent`)
}

const bytes = ({ unit, repeat }) => Buffer.concat(Array(repeat).fill(unhex(unit)))

/** One end of a session. Its randomness is a function of the plan's name, its role and the purpose. */
class Side {
  constructor(role, { name, given }) {
    this.role = role
    this.name = name
    this.draws = []
    this.link = new Link().on('error', (error) => (this.error = error))
    this.given = given[role]
    this.takeOver()
    this.static = this.given ? this.keyPair(this.random('static key seed', 32)) : null
    this.stream = new SecretStream(role === I, this.link, { keyPair: this.static })
    this.stream.on('error', (error) => (this.error = error))
  }

  // Only one side acts at a time, so a draw belongs to the side that was delivered to last.
  takeOver() {
    drawFrom((kind, length) => {
      const isKey = kind === 'key pair seed'
      const purpose = !isKey ? kind : this.static === null ? 'static key seed' : 'ephemeral key seed'
      const drawn = this.random(purpose, length)
      this.draws.push({ purpose, bytes: hex(drawn) })
      if (isKey) this[this.static === null ? 'static' : 'ephemeral'] = this.keyPair(drawn)
      return drawn
    })
  }

  deliver(frame) {
    this.takeOver()
    this.link.push(frame)
  }

  random(purpose, length) {
    return fixedBytes(`${this.name}, ${this.role}, ${purpose}`, length)
  }

  keyPair(seed) {
    return { seed, ...SecretStream.keyPair(seed) }
  }

  record() {
    const header = this.draws.find(({ purpose }) => purpose === 'secretstream header').bytes
    return {
      static_key_given: this.given,
      static: keyPairRecord(this.static),
      ephemeral: keyPairRecord(this.ephemeral),
      draws: this.draws,
      tx: hex(this.stream._encrypt.key),
      rx: hex(this.stream._decrypt.key),
      stream_id: hex(SecretStream.id(this.stream.handshakeHash, this.role === I)),
      secretstream_header: header
    }
  }
}

function keyPairRecord({ seed, publicKey, secretKey }) {
  const hash = Buffer.alloc(64)
  sodium.crypto_hash_sha512(hash, seed)
  const scalar = hash.subarray(0, 32)
  scalar[0] &= 248
  scalar[31] = (scalar[31] & 127) | 64
  return { seed: hex(seed), public_key: hex(publicKey), secret_key: hex(secretKey), scalar: hex(scalar) }
}

// Unlike events.once this leaves an `error` to whoever listens to it.
const event = (emitter, name) => new Promise((resolve) => emitter.once(name, resolve))

/** The raw stream below a secret stream. We are the wire: one write is one frame. */
class Link extends Duplex {
  frames = []

  _read() {}

  _write(frame, _encoding, done) {
    if (frame.readUIntLE(0, 3) !== frame.length - 3) throw new Error('a write that is not one frame')
    this.frames.push(Buffer.from(frame))
    this.emit('frame')
    done()
  }

  async take() {
    while (this.frames.length === 0) await event(this, 'frame')
    return this.frames.shift()
  }
}

// Each case: `to` lives through `session` with the same randomness, is given the first `after` frames meant for it,
// then `bytes`. `error` is how it dies; null means that it goes on, and `written` is its next frame.
async function refusals(session) {
  const frames = (from) => session.wire.filter((entry) => entry.from === from).map((entry) => entry.frame)
  const [first, third, header, ...fromInitiator] = frames(I)
  const [second, responderHeader, ...fromResponder] = frames(R)
  const point = (hexPoint) => '200000' + hexPoint

  const cases = [
    ['first handshake message one byte short', R, 0, '1f0000' + first.slice(6, -2)],
    ['first handshake message empty', R, 0, '00000000'],
    ['first handshake message with a payload', R, 0, '280000' + first.slice(6) + '0102030405060708'],
    ['ephemeral key all zeros', R, 0, point('00'.repeat(32))],
    ['ephemeral key the identity', R, 0, point('01' + '00'.repeat(31))],
    ['ephemeral key of order 2', R, 0, point('ec' + 'ff'.repeat(30) + '7f')],
    ['ephemeral key of order 8', R, 0, point('c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a')],
    ['ephemeral key with a part of order 2', R, 0, point(withTorsion(first.slice(6)))],
    ['ephemeral key that is not a point', R, 0, point('02' + '00'.repeat(31))],
    ['second handshake message one byte short', I, 0, '5f0000' + second.slice(6, -2)],
    ['second handshake message, static key altered', I, 0, flip(second, 3 + 40)],
    ['second handshake message, last byte altered', I, 0, flip(second, 98)],
    ['third handshake message, static key altered', R, 1, flip(third, 5)],
    ['third handshake message, last byte altered', R, 1, flip(third, 66)],
    ['own header message reflected', I, 1, header],
    ['own header message reflected to the responder', R, 2, responderHeader],
    ['header message with another stream id', I, 1, flip(responderHeader, 3)],
    ['header message one byte short', I, 1, '370000' + responderHeader.slice(6, -2)],
    ['data in the place of the header message', R, 2, fromInitiator[0]],
    ['data altered in its tag byte', R, 3, flip(fromInitiator[0], 3)],
    ['data altered in its last byte', R, 3, flip(fromInitiator[0], 19)],
    ['data repeated', R, 4, fromInitiator[0]],
    ['data out of order', R, 3, fromInitiator[1]],
    ['data of the other direction', R, 3, fromResponder[0]],
    ['data one byte shorter than an empty message', R, 3, '100000' + fromInitiator[0].slice(6, -2)],
    ['data frame of length 0, seen when the next byte arrives', R, 3, '00000014']
  ]

  const results = []
  for (const [name, to, after, sent] of cases) {
    results.push({ name, to, session: session.name, after, bytes: sent, ...(await refusal(session, to, after, sent)) })
  }
  return results
}

async function refusal(session, to, after, sent) {
  const side = new Side(to, plans[0])
  const frames = session.wire.filter((entry) => entry.from !== to).slice(0, after)
  if (to === I) await side.link.take()
  for (const { kind, frame } of frames) {
    const arrived = kind === 'data' ? event(side.stream, 'data') : null
    if (kind === 'data') side.stream.resume()
    side.deliver(unhex(frame))
    if (kind === 'handshake') await (to === I ? side.link.take().then(() => side.link.take()) : side.link.take())
    await arrived
  }

  const closed = event(side.stream, 'close').then(() => ({ error: side.error.message, written: null }))
  const written = side.link.take().then((frame) => ({ error: null, written: hex(frame) }))
  const opened = event(side.stream, 'data').then(() => { throw new Error('a case meant to be refused was delivered') })
  side.stream.resume()
  side.deliver(unhex(sent))
  const outcome = await Promise.race([closed, written, opened])
  side.stream.destroy()
  drawFromNowhere()
  return outcome
}

/** What becomes of public keys of every order, and of texts that are no canonical point: the shared secret, or null if there is none. */
function agreements({ initiator, responder }) {
  const secretKey = unhex(initiator.static.secret_key)
  const sound = responder.static.public_key
  const keys = []
  let torsion = '01' + '00'.repeat(31)
  for (let times = 0; times < 8; times++) {
    keys.push([`${times} times a point of order 8`, torsion], [`a sound key and ${times} times a point of order 8`, add(sound, torsion)])
    torsion = add(torsion, 'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a')
  }
  for (const last of ['7f', 'ff']) {
    for (let above = 0; above < 19; above++) {
      keys.push([`${above} above the field, ends in ${last}`, (0xed + above).toString(16) + 'ff'.repeat(30) + last])
    }
    keys.push([`the order 2, ends in ${last}`, 'ec' + 'ff'.repeat(30) + last])
  }
  keys.push(['the identity with a sign', '01' + '00'.repeat(30) + '80'], ['no point', '02' + '00'.repeat(31)])
  return keys.map(([name, key]) => ({ name, seed: initiator.static.seed, public_key: key, shared: agreement(key, secretKey) }))
}

function agreement(key, secretKey) {
  try {
    return hex(curve.dh(unhex(key), { secretKey }))
  } catch {
    return null
  }
}

/** The point plus the point of order 2: its y coordinate negated, and its x. */
const withTorsion = (point) => add(point, 'ec' + 'ff'.repeat(30) + '7f')

function add(point, other) {
  const sum = Buffer.alloc(32)
  sodium.crypto_core_ed25519_add(sum, unhex(point), unhex(other))
  return hex(sum)
}

function flip(frame, at) {
  const altered = unhex(frame)
  altered[at] ^= 1
  return hex(altered)
}
