// bench/RESULTS.md: one section for each benchmark. A run replaces its own and leaves the others.

import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, release, totalmem } from 'node:os';
import { join } from 'node:path';
import { root } from '../scripts/paths.mjs';

const file = join(root, 'bench/RESULTS.md');
/** Before anything is built or measured, which is work too. */
const [load] = loadavg();
const TITLE = `# Results

Written by \`npm run bench -- relay|page|direct|crypto\`. Anchors run in the same run, in turn with ours. Numbers of one machine say little about another;
the ratios say more. ✓ and ✗ say whether a goal is met.
`;

/**
 * Prints a section and puts it into the file.
 * @param {string} name of the benchmark
 * @param {Record<string, string>} versions of what was measured
 * @param {string} body Markdown
 */
export function writeSection(name, versions, body) {
  const section = [`## ${name}`, conditions(name, versions), body.trim()].join('\n\n');
  console.log(`\n${section}\n`);
  const before = existsSync(file) ? readFileSync(file, 'utf8').split(/^(?=## )/m).slice(1) : [];
  const others = before.map((other) => other.trim()).filter((other) => !other.startsWith(`## ${name}\n`));
  const sections = [...others, section].sort();
  writeFileSync(file, `${[TITLE.trim(), ...sections].join('\n\n')}\n`);
}

/** A Markdown table of rows that are arrays. */
export function table(head, rows) {
  const line = (cells) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

/** A number with three digits that count, and thousands apart. */
export function figure(number) {
  if (number >= 1_000) return Math.round(number).toLocaleString('en');
  return String(Number(number.toPrecision(3)));
}

/** The middle one. */
export function median(numbers) {
  return [...numbers].sort((a, b) => a - b)[numbers.length >> 1];
}

/** What a goal came to. */
export function goal(text, isMet) {
  return `- ${isMet ? '✓' : '✗'} ${text}`;
}

function conditions(name, versions) {
  const processors = cpus();
  const machine = `${processors.length} × ${processors[0].model.trim()}, ${Math.round(totalmem() / 2 ** 30)} GiB, Linux ${release().split('-')[0]}`;
  const unrest = load > processors.length ? ': other work disturbed it, run it again when there is none' : '';
  const commit = execFileSync('git', ['rev-parse', '--short', 'HEAD'], { cwd: root, encoding: 'utf8' }).trim();
  const all = Object.entries({ ...versions, Node: process.versions.node }).map((pair) => pair.join(' ')).join(', ');
  return [
    `\`npm run bench -- ${name}\`, ${new Date().toISOString().slice(0, 10)}, at ${commit}. ${machine}, load ${load.toFixed(1)} before${unrest}.`, `${all}.`,
  ].join('\n');
}
