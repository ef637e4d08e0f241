// What lies in deploy/ fits the relay that is built here: options, metrics, paths.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { findCommand } from '../../scripts/shell.mjs';
import { startRelay } from '../e2e/support/relay.mjs';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../../', import.meta.url));
const deploy = join(root, 'deploy');
const program = join(root, 'target/release/peersockets-relay');
/** Where the unit and the image have the program. */
const installed = '/usr/local/bin/peersockets-relay';
/** Most that `systemd-analyze security` may find, of 100. */
const EXPOSURE = 15;

const names = await readdir(deploy);
const texts = Object.fromEntries(await Promise.all(names.map(async (name) => [name, await readFile(join(deploy, name), 'utf8')])));
const { stdout: help } = await run(program, ['--help']);
const options = new Set([...help.matchAll(/^ +(?:-\w, )?--([a-z-]+)/gm)].map(([, name]) => name));
const relay = await startRelay({ options: ['--admin-listen', '127.0.0.1:0'] });
const scratch = await mkdtemp(join(tmpdir(), 'peersockets-deploy-'));
after(() => rm(scratch, { recursive: true, force: true }));

test('every metric that is named is one of the relay', async () => {
  const [metrics, named] = [new Set(), namesIn(/peersockets_relay_\w+/g)];
  for (const [, name, type] of (await readMetrics()).matchAll(/^# TYPE (\w+) (\w+)$/gm)) metrics.add(type === 'counter' ? `${name}_total` : name);
  assert.ok(metrics.size >= 15, [...metrics].join());
  assert.ok(named.length >= 15, named.join());
  assert.deepEqual(named.filter((name) => !metrics.has(name)), []);
});

test('the dashboard shows every metric of the relay', async () => {
  const { panels } = JSON.parse(texts['dashboard.json']);
  const shown = panels.flatMap(({ targets }) => targets.map(({ expr }) => expr)).join();
  const metrics = [...(await readMetrics()).matchAll(/^# TYPE (\w+) /gm)].map(([, name]) => name);
  assert.ok(metrics.length >= 15);
  assert.deepEqual(metrics.filter((name) => !shown.includes(name)), []);
});

test('every option and every variable that is named is one of the relay', () => {
  assert.ok(options.size > 30, [...options].join());
  const variables = new Set([...options].map((option) => `PEERSOCKETS_${option.replaceAll('-', '_').toUpperCase()}`));
  const named = namesIn(/PEERSOCKETS_\w+/g);
  assert.ok(named.includes('PEERSOCKETS_LISTEN'), named.join());
  assert.deepEqual(named.filter((name) => !variables.has(name)), []);
  const ours = ['nginx-relay.conf', 'Caddyfile', 'alerts.yml', 'relay.toml', 'dashboard.json', 'peersockets-relay.service'];
  const words = ours.flatMap((name) => [...texts[name].matchAll(/(?<![\w-])--([a-z][a-z-]+)/g)].map(([, word]) => word));
  assert.ok(words.includes('trusted-proxy') && words.includes('total-rate'), words.join());
  assert.deepEqual(words.filter((word) => !options.has(word)), []);
});

test('the file of options can be used, and so can what is commented out in it', async () => {
  await run(program, ['--check-config', '--config', join(deploy, 'relay.toml')]);
  const { key, certificate } = await makeCertificate();
  const withTls = texts['relay.toml']
    .replace(/^listen = .*$/m, 'listen = "0.0.0.0:443"')
    .replace(/^# (tls-cert = )".*"$/m, `$1"${certificate}"`)
    .replace(/^# (tls-key = )".*"$/m, `$1"${key}"`);
  assert.match(withTls, /^tls-cert = .*\ntls-key = /m);
  const secret = join(scratch, 'turn-secret');
  await writeFile(secret, 'x'.repeat(32));
  const withAll = withTls.replace(/^# (stun|turn)( = .*)$/gm, '$1$2').replace(/^# (turn-secret = )".*"$/m, `$1"${secret}"`);
  assert.match(withAll, /^stun = .*\nturn = .*\nturn-secret = /m);
  await writeFile(join(scratch, 'relay.toml'), withAll);
  await run(program, ['--check-config', '--config', join(scratch, 'relay.toml')]);
});

test('systemd understands the unit, and finds little that it may do', { skip: !findCommand('systemd-analyze') }, async () => {
  const unit = join(scratch, 'peersockets-relay.service');
  assert.match(texts['peersockets-relay.service'], new RegExp(`^ExecStart=${installed} `, 'm'));
  const text = texts['peersockets-relay.service'].replaceAll(installed, program);
  const withAll = text.replace(/^#(?=\w+=)/gm, '');
  assert.match(withAll, /^LoadCredential=tls-key:.*\n.*^Environment=.*PEERSOCKETS_TLS_KEY=%d\/tls-key$/ms);
  for (const each of [withAll, text]) {
    await writeFile(unit, each);
    const { stdout, stderr } = await run('systemd-analyze', ['verify', '--man=no', '--recursive-errors=no', unit]);
    assert.equal(stdout + stderr, '');
  }
  await run('systemd-analyze', ['security', '--offline=true', `--threshold=${EXPOSURE}`, '--no-pager', unit]);
});

test('the image lets nobody in by accident, and knows whether the relay is well', async () => {
  const { Dockerfile } = texts;
  const env = { ...process.env, ...Object.fromEntries([...Dockerfile.matchAll(/^ENV (\w+)=(.*)$/gm)].map(([, name, value]) => [name, value])) };
  await assert.rejects(run(program, ['--check-config'], { env }), ({ code, stderr }) => code === 2 && stderr.includes('--allow-origin'));
  await run(program, ['--check-config'], { env: { ...env, PEERSOCKETS_ALLOW_ORIGIN: 'https://example.org' } });

  const [command, ...words] = JSON.parse(/^HEALTHCHECK .* CMD (\[.*\])$/m.exec(Dockerfile)[1]);
  const at = (port) => words.map((word) => word.replace('/127.0.0.1/8787', `/127.0.0.1/${port}`));
  const { port } = new URL(relay.url);
  assert.notDeepEqual(at(port), words);
  await run(command, at(port));
  const ended = await startRelay();
  await ended.stop();
  await assert.rejects(run(command, at(new URL(ended.url).port)));
});

test('the image is built of files that are there', async () => {
  const wanted = [...texts['Dockerfile.dockerignore'].matchAll(/^!(\S+)$/gm)].map(([, name]) => name);
  const present = await readdir(root);
  assert.ok(wanted.length >= 5);
  assert.deepEqual(wanted.filter((name) => !present.includes(name)), []);
  const rust = /^rust-version = "(.*)"$/m.exec(await readFile(join(root, 'Cargo.toml'), 'utf8'))[1];
  assert.ok(texts.Dockerfile.includes(`FROM rust:${rust}-`), rust);
});

test('every file of the directory is in its table', () => {
  const listed = [...texts['README.md'].matchAll(/^\| (.*?) \|/gm)].flatMap(([, cell]) => [...cell.matchAll(/`([^`]+)`/g)].map(([, name]) => name));
  const others = ['README.md', 'Dockerfile.dockerignore'];
  assert.deepEqual([...listed].sort(), names.filter((name) => !others.includes(name)).sort());
});

/** All that matches anywhere in deploy/, each once. */
function namesIn(pattern) {
  return [...new Set(Object.values(texts).flatMap((text) => text.match(pattern) ?? []))];
}

async function readMetrics() {
  return (await fetch(relay.metricsUrl)).text();
}

async function makeCertificate() {
  const [key, certificate] = ['key.pem', 'cert.pem'].map((name) => join(scratch, name));
  await run('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-subj', '/CN=localhost', '-keyout', key, '-out', certificate]);
  return { key, certificate };
}
