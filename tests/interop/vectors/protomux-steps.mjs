// The steps that the protomux cases are made of.
import { hex } from './bytes.mjs'

export const open = (channel, protocol, { id = null, handshake = null, types = 4, echo = false } = {}) => ({
  call: 'open',
  channel,
  protocol,
  id,
  handshake,
  types,
  echo
})
export const send = (channel, type, text) => ({ call: 'send', channel, type, payload: hex(Buffer.from(text)) })
export const close = (channel) => ({ call: 'close', channel })
export const pair = (protocol, accept = null, { id = null, hold = false } = {}) => ({ call: 'pair', protocol, id, accept, hold })
export const endPairing = { call: 'end_pairing' }
export const cork = { call: 'cork' }
export const uncork = { call: 'uncork' }
export const end = { call: 'end' }
/** The frame of these hex pieces. Spaces and splits are for the reader only. */
export const receive = (...pieces) => ({ call: 'receive', frame: pieces.join('').replaceAll(' ', '') })

/** Pieces of frames, in hex. */
const text = (string) => hex(Buffer.from(string))
const prefixed = (bytes) => (bytes.length / 2).toString(16).padStart(2, '0') + bytes
export const opening = (localId, protocol, { id = null, handshake = '' } = {}) =>
  '01' + localId + prefixed(text(protocol)) + (id === null ? '00' : prefixed(id)) + handshake
export const remoteOpen = (...args) => receive('00', opening(...args))
export const inBatch = (message) => prefixed(message.replaceAll(' ', ''))
