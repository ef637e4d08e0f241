// hypercore: capabilities, Opens and messages of the channel hypercore/alpha, by the library's own encoders.
import { createRequire } from 'node:module'
import c from 'compact-encoding'
import crypto from 'hypercore-crypto'
import caps from 'hypercore/lib/caps.js'
import messages from 'hypercore/lib/messages.js'
import { fixedBytes, hex, unhex } from './bytes.mjs'
import { run } from './protomux.mjs'

const { wire } = messages
const keys = [fixedBytes('a drive key'), fixedBytes('another drive key')]
const hashes = ['one', 'two'].map((name) => Buffer.concat([fixedBytes(`hash ${name}`), fixedBytes(`more of hash ${name}`)]))
const largest = Number.MAX_SAFE_INTEGER
const nodes = [{ index: 1, size: 9, hash: fixedBytes('a node') }]

// The place of a message in the library's list is its type.
const types = ['sync', 'request', 'cancel', 'data', 'noData', 'want', 'unwant', 'bitfield', 'range', 'extension']

const sent = {
  sync: [
    { fork: 0, length: 0, remoteLength: 0, canUpgrade: true, uploading: true, downloading: true, hasManifest: false, allowPush: false },
    { fork: 1, length: 253, remoteLength: 65536, canUpgrade: false, uploading: true, downloading: false, hasManifest: true, allowPush: true },
    { fork: 0, length: largest, remoteLength: largest, canUpgrade: true, uploading: false, downloading: true, hasManifest: true, allowPush: false }
  ],
  request: [
    { id: 1, fork: 0, block: { index: 3, nodes: 2 } },
    { id: 252, fork: 0, hash: { index: 4, nodes: 0 }, upgrade: { start: 0, length: 9 } },
    { id: 253, fork: 1, seek: { bytes: 70000, padding: 8 }, manifest: true, priority: 2 },
    { id: largest, fork: largest, block: { index: largest, nodes: 0 }, upgrade: { start: 1, length: largest }, priority: 1 }
  ],
  cancel: [{ request: 7 }],
  data: [
    { request: 7, fork: 0, block: { index: 3, value: fixedBytes('a block'), nodes } },
    { request: 8, fork: 0, upgrade: { start: 0, length: 9, nodes, additionalNodes: [], signature: Buffer.alloc(64, 5) } }
  ],
  noData: [{ request: 0 }, { request: 7 }, { request: 253, reason: 1 }, { request: largest }],
  want: [{ start: 0, length: 32768 }, { start: 1, length: 2, any: true }],
  unwant: [{ start: 0, length: 32768 }],
  bitfield: [{ start: 0, bitfield: new Uint32Array([1, 0xffffffff, 0]) }],
  range: [{ drop: false, start: 0, length: 1 }, { drop: true, start: 9, length: 300 }],
  extension: [
    { name: 'peersockets/v0/chat', message: Buffer.from('hello') },
    { name: '', message: Buffer.from('the name before') },
    { name: 'peersockets/v0/chat', message: Buffer.alloc(0) },
    { name: '', message: Buffer.alloc(0) },
    { name: 'peersockets/v0/', message: Buffer.from([0]) },
    { name: 'peersockets/v0/日本語 🐦', message: Buffer.from([0xff, 0xfd]) },
    { name: `peersockets/v0/${'t'.repeat(255)}`, message: Buffer.from('the longest topic') },
    { name: 'another-extension', message: Buffer.from('not ours') }
  ]
}

// What we write, as the library reads it.
const ours = { sync: ['07000000'], noData: ['00', '07', 'fdfd00', 'ffffffffffffff1f00'], extension: [`13${hex(Buffer.from('peersockets/v0/chat'))}6869`, '006869', '00'] }

export async function hypercore() {
  return {
    version: createRequire(import.meta.url)('hypercore/package.json').version,
    capabilities: capabilities(),
    opens: await opens(),
    messages: types.flatMap((name, type) => sent[name].map((fields) => ({ name, type, fields: plain(fields), encoded: hex(c.encode(wire[name], fields)) }))),
    understood: Object.entries(ours).flatMap(([name, all]) => all.map((bytes) => ({ name, bytes, fields: plain(c.decode(wire[name], unhex(bytes))) })))
  }
}

function capabilities() {
  return cases(({ isInitiator, key, hash }) => ({
    is_initiator: isInitiator,
    key: hex(key),
    handshake_hash: hex(hash),
    discovery_key: hex(crypto.discoveryKey(key)),
    capability: hex(caps.replicate(isInitiator, key, hash)),
    handshakes: [false, true].map((seeks) => ({
      seeks,
      encoded: hex(c.encode(wire.handshake, { seeks, capability: caps.replicate(isInitiator, key, hash) }))
    }))
  }))
}

/** The frames that Protomux writes for the Open of a replicator. */
function opens() {
  return Promise.all(
    cases(async ({ isInitiator, key, hash }) => {
      const handshake = hex(c.encode(wire.handshake, { seeks: true, capability: caps.replicate(isInitiator, key, hash) }))
      const open = { call: 'open', channel: 'drive', protocol: 'hypercore/alpha', id: hex(crypto.discoveryKey(key)), handshake, types: types.length }
      const [{ then }] = await run('an open of hypercore/alpha', [open])
      return { is_initiator: isInitiator, key: hex(key), handshake_hash: hex(hash), frame: then.find(({ event }) => event === 'wrote').frame }
    })
  )
}

function cases(make) {
  return keys.flatMap((key) => hashes.flatMap((hash) => [true, false].map((isInitiator) => make({ isInitiator, key, hash }))))
}

/** Bytes as hex, for JSON. */
function plain(value) {
  if (value instanceof Uint8Array) return hex(value)
  if (value instanceof Uint32Array || Array.isArray(value)) return Array.from(value, plain)
  if (value === null || typeof value !== 'object') return value
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, plain(field)]))
}
