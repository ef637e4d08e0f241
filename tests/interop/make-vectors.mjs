// Byte vectors of the real JavaScript libraries, written as data for the Rust core's tests.
//
//   node tests/interop/make-vectors.mjs             writes core/tests/vectors/*.json
//   node tests/interop/make-vectors.mjs --check     compares instead; exits 1 on a difference
//   --dir DIRECTORY                                 another place for the files
//
// All randomness is injected, so every run gives the same files.
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { compactEncoding } from './vectors/compact-encoding.mjs'
import { hypercore } from './vectors/hypercore.mjs'
import { protomux } from './vectors/protomux.mjs'
import { secretStream } from './vectors/secret-stream.mjs'

const vectors = {
  'compact-encoding.json': compactEncoding,
  'secret-stream.json': secretStream,
  'protomux.json': protomux,
  'hypercore.json': hypercore
}

const { values: options } = parseArgs({
  options: {
    check: { type: 'boolean', default: false },
    dir: { type: 'string', default: fileURLToPath(new URL('../../core/tests/vectors', import.meta.url)) }
  }
})

if (!options.check) await mkdir(options.dir, { recursive: true })

for (const [name, make] of Object.entries(vectors)) {
  const text = JSON.stringify(await make(), null, 1) + '\n'
  const file = join(options.dir, name)
  if (options.check) await compare(file, name, text)
  else await writeFile(file, text)
}

async function compare(file, name, text) {
  const stored = await readFile(file, 'utf8').catch(() => null)
  if (stored === text) return console.log(`${name}: as the libraries make it`)

  process.exitCode = 1
  if (stored === null) return console.error(`${name}: missing; run make-vectors.mjs without --check`)
  const made = text.split('\n')
  const line = stored.split('\n').findIndex((stored, i) => stored !== made[i])
  console.error(`${name}: differs from what the installed libraries make, first at line ${line + 1}`)
}
