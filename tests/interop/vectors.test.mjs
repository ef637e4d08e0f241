// The stored vectors are what the installed libraries make, and they mean what they say.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { test } from 'node:test'
import { sodium } from './vectors/randomness.mjs'

const script = fileURLToPath(new URL('make-vectors.mjs', import.meta.url))
const stored = fileURLToPath(new URL('../../core/tests/vectors', import.meta.url))
const check = (dir) => spawnSync(process.execPath, [script, '--check', '--dir', dir], { encoding: 'utf8' })

test('the stored vectors are what the installed libraries make', () => {
  const { status, stderr } = check(stored)
  assert.equal(status, 0, stderr)
})

test('the check fails on one altered byte and on a missing file', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'vectors-'))
  t.after(() => rm(dir, { recursive: true }))
  await cp(stored, dir, { recursive: true })
  const file = join(dir, 'protomux.json')
  await writeFile(file, (await readFile(file, 'utf8')).replace('"0001010d', '"0001020d'))
  await rm(join(dir, 'compact-encoding.json'))

  const { status, stderr } = check(dir)
  assert.equal(status, 1)
  assert.match(stderr, /protomux\.json: differs .* at line \d+/)
  assert.match(stderr, /compact-encoding\.json: missing/)
  assert.doesNotMatch(stderr, /secret-stream\.json/)
})

test('every data frame opens with the recorded key and header alone', async () => {
  const { sessions } = JSON.parse(await readFile(join(stored, 'secret-stream.json'), 'utf8'))
  let opened = 0
  for (const session of sessions) {
    for (const role of ['initiator', 'responder']) {
      const { tx, secretstream_header: header } = session[role]
      const state = Buffer.alloc(sodium.crypto_secretstream_xchacha20poly1305_STATEBYTES)
      sodium.crypto_secretstream_xchacha20poly1305_init_pull(state, bytes(header), bytes(tx))
      for (const { unit, repeat, frame } of session.wire.filter(({ from, kind }) => from === role && kind === 'data')) {
        const sealed = bytes(frame).subarray(3)
        const message = Buffer.alloc(sealed.length - sodium.crypto_secretstream_xchacha20poly1305_ABYTES)
        const tag = Buffer.alloc(1, 0xff)
        sodium.crypto_secretstream_xchacha20poly1305_pull(state, message, tag, sealed, null)
        assert.equal(message.toString('hex'), unit.repeat(repeat))
        assert.equal(tag[0], sodium.crypto_secretstream_xchacha20poly1305_TAG_MESSAGE)
        opened++
      }
    }
  }
  assert.equal(opened, 38)
})

const bytes = (hex) => Buffer.from(hex, 'hex')
