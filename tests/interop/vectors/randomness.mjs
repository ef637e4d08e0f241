// Fixed bytes in the place of randomness, for everything that @hyperswarm/secret-stream draws.
import { createRequire } from 'node:module'

const require = createRequire(import.meta.url)
const requireBeside = createRequire(require.resolve('@hyperswarm/secret-stream'))

/** The very sodium that secret-stream uses. */
export const sodium = requireBeside('sodium-universal')
/** noise-curve-ed, as secret-stream uses it. */
export const curve = requireBeside('noise-curve-ed')

let draw = refuse

/** From now on `source(purpose, length)` gives the random bytes. */
export function drawFrom(source) {
  draw = source
}

export function drawFromNowhere() {
  draw = refuse
}

function refuse(purpose) {
  throw new Error(`randomness drawn outside a session: ${purpose}`)
}

// libsodium's own crypto_sign_keypair is 32 random bytes given to crypto_sign_seed_keypair.
sodium.crypto_sign_keypair = (publicKey, secretKey) => {
  sodium.crypto_sign_seed_keypair(publicKey, secretKey, draw('key pair seed', 32))
}

// libsodium's own init_push is 24 random header bytes, then the state that init_pull makes of them.
sodium.crypto_secretstream_xchacha20poly1305_init_push = (state, header, key) => {
  header.set(draw('secretstream header', 24))
  sodium.crypto_secretstream_xchacha20poly1305_init_pull(state, header, key)
}

// The only other draw: 8 bytes for the counter of unordered datagrams, never seen on a byte stream.
sodium.randombytes_buf = (buffer) => {
  buffer.set(draw('datagram counter', buffer.byteLength))
}

// After the patches: what the library takes out of sodium at load time is patched too.
export const SecretStream = require('@hyperswarm/secret-stream')
