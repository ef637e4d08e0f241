// Bytes as the vector files hold them: lower-case hex.
import { createHash } from 'node:crypto'

export const hex = (bytes) => Buffer.from(bytes).toString('hex')
export const unhex = (text) => Buffer.from(text, 'hex')

/** `length` bytes (at most 32) that look random and are the same in every run. */
export const fixedBytes = (label, length = 32) => createHash('sha256').update(label).digest().subarray(0, length)
