// compact-encoding: the codecs that our wire uses, at their boundaries.
import c from 'compact-encoding'
import { hex, unhex } from './bytes.mjs'

const uints = [0, 1, 0xfc, 0xfd, 0xfe, 0xff, 0x100, 0xffff, 0x10000, 0xffffffff, 0x100000000, Number.MAX_SAFE_INTEGER]

const strings = ['', 'a', 'hypercore/alpha', 'peersockets/1', 'é', '日本語', '🐦', 'x'.repeat(0xfc), 'x'.repeat(0xfd), 'ж'.repeat(127)]

const buffers = [
  { bytes: null },
  { bytes: 'ff' },
  { bytes: '00' },
  { bytes: 'ab'.repeat(32) },
  { bytes: '5a'.repeat(0xfc) },
  { bytes: '5a'.repeat(0xfd) }
]

// What the library does with bytes that its own encoder would not write.
const foreign = [
  ['a uint in three bytes that fits one', 'uint', 'fd0500'],
  ['a uint in five bytes that fits one', 'uint', 'fe05000000'],
  ['a uint in nine bytes that fits one', 'uint', 'ff0500000000000000'],
  ['the largest uint', 'uint', 'ffffffffffffff1f00'],
  ['a uint of 2^53', 'uint', 'ff0000000000002000'],
  ['a uint of 2^64 - 1', 'uint', 'ffffffffffffffffff'],
  ['no uint at all', 'uint', ''],
  ['two of three uint bytes', 'uint', 'fd05'],
  ['four of five uint bytes', 'uint', 'fe050000'],
  ['eight of nine uint bytes', 'uint', 'ff05000000000000'],
  ['a uint and what follows', 'uint', '05ffff'],
  ['a string shorter than its length', 'string', '0361'],
  ['a string of 2^53 - 1 bytes that are not there', 'string', 'ffffffffffffff1f0061'],
  ['a string that is not UTF-8', 'string', '03ff6180'],
  ['a buffer shorter than its length', 'buffer', '0361'],
  ['an empty buffer', 'buffer', '00'],
  ['31 of 32 fixed bytes', 'fixed32', '11'.repeat(31)],
  ['32 fixed bytes and what follows', 'fixed32', '11'.repeat(33)]
]

// The field that may be absent; as a plain `buffer` its bytes are the same.
const codecs = { uint: c.uint, string: c.string, buffer: c.optionalBuffer, fixed32: c.fixed32 }

export function compactEncoding() {
  const fixed32 = Buffer.from(Array.from({ length: 32 }, (_, i) => i))
  return {
    uint: uints.map((value) => ({ value, encoded: hex(c.encode(c.uint, value)) })),
    string: strings.map((value) => ({ value, encoded: hex(c.encode(c.string, value)) })),
    buffer: buffers.map(({ bytes }) => ({ bytes, encoded: hex(c.encode(c.optionalBuffer, bytes === null ? null : unhex(bytes))) })),
    fixed32: [{ bytes: hex(fixed32), encoded: hex(c.encode(c.fixed32, fixed32)) }],
    decode: foreign.map(([name, codec, encoded]) => ({ name, codec, encoded, ...decode(codecs[codec], unhex(encoded)) }))
  }
}

function decode(codec, buffer) {
  const state = { buffer, start: 0, end: buffer.byteLength }
  try {
    const value = codec.decode(state)
    return { value: Buffer.isBuffer(value) ? hex(value) : value, consumed: state.start, error: null }
  } catch (error) {
    return { value: null, consumed: null, error: error.message }
  }
}
