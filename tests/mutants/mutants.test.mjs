// The storms of netem/ notice what they are there for: with each of these defects in the core they fail.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
const copy = join(root, 'target/mutants/workspace');
const SEEDS = 10;
const MINUTES = 10;

/** What is broken, where, and what each storm that is to notice says. */
const MUTANTS = [
  {
    name: 'messages that came before are given out again', file: 'core/src/path.rs',
    from: 'Ordering::Less => Arrival::Repeated', to: 'Ordering::Less => Arrival::Fresh',
  },
  {
    name: 'nothing is acknowledged', file: 'core/src/path.rs',
    from: 'Some(self.received)', to: 'None',
  },
  {
    name: 'nothing is sent again', file: 'core/src/channel/outbox.rs',
    from: 'self.repeated = 0;', to: 'self.repeated = self.kept.len();',
  },
  {
    name: 'a process that was started again is taken for the one before it', file: 'core/src/swarm/devices.rs',
    from: '=> path.other() == theirs.own,', to: '=> path.other() == theirs.own || true,',
  },
  {
    name: 'what waits on a data channel that is over is not sent on a relay', file: 'core/src/swarm/sessions.rs',
    from: 'device.links.first() == Some(&id));', to: 'device.links.first() == Some(&id) && !matches!(attached.carrier, Carrier::Channel(_)));',
  },
  {
    name: 'what waits on a relay is not taken along to a data channel', file: 'core/src/swarm/sessions.rs',
    from: 'let first = device.links[0];', to: 'let first = id;',
  },
  {
    name: 'more is written to a data channel than it takes', file: 'core/src/swarm/transport.rs',
    from: 'buffer.waiting < limits::CHANNEL_HIGH_WATER =>', to: 'buffer.waiting < usize::MAX =>',
  },
];

before(() => {
  rmSync(copy, { recursive: true, force: true });
  mkdirSync(copy, { recursive: true });
  for (const part of ['core', 'netem', 'Cargo.lock']) cpSync(join(root, part), join(copy, part), { recursive: true });
  const manifest = readFileSync(join(root, 'Cargo.toml'), 'utf8');
  const sections = (name) => manifest.match(new RegExp(`^\\[${name}.*\\]\\n[^[]*`, 'gm'));
  const workspace = '[workspace]\nmembers = ["core", "netem"]\nresolver = "3"\n';
  writeFileSync(join(copy, 'Cargo.toml'), [workspace, ...sections('workspace.package'), ...sections('profile.dev')].join('\n'));
});

test('without a defect the storms pass', async () => {
  const { code, output } = await storms();
  assert.equal(code, 0, output);
});

for (const { name, file, from, to } of MUTANTS) {
  test(`the storms notice that ${name}`, async (t) => {
    const path = join(copy, file);
    const sound = readFileSync(path, 'utf8');
    assert.equal(sound.split(from).length, 2, `${file} has ${from} once`);
    t.after(() => writeFileSync(path, sound));
    writeFileSync(path, sound.replace(from, to));
    const { code, output } = await storms();
    assert.notEqual(code, 0);
    assert.match(output, /^test .* \.\.\. FAILED$/m, 'it is built, and a storm fails');
    assert.match(output, /TEST_SEED=\d+/, 'and says how to see it again');
  });
}

function storms() {
  // Those that take long would notice too.
  const skipped = ['a_hostile_relay', 'want_of_memory'].flatMap((storm) => ['--skip', storm]);
  const parameters = ['test', '--offline', '--package', 'peersockets-netem', '--test', 'storms', '--no-fail-fast', '--', ...skipped];
  const env = { ...process.env, CARGO_TARGET_DIR: join(root, 'target'), TEST_SEEDS: String(SEEDS) };
  return new Promise((resolve) => {
    execFile('cargo', parameters, { cwd: copy, env, timeout: MINUTES * 60_000, maxBuffer: 1 << 26 }, (error, out, err) => {
      resolve({ code: error ? error.code ?? 'killed' : 0, output: out + err });
    });
  });
}
