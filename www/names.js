// A name and a flag for each device, computed from its public key: every device computes the same ones for the others.

import { svg } from './dom.js';

const QUALITIES = [
  'amber', 'ample', 'arctic', 'auburn', 'blithe', 'bold', 'brave', 'bright', 'brisk', 'calm', 'candid', 'clear', 'clever', 'coastal',
  'copper', 'coral', 'crisp', 'curious', 'dapper', 'deep', 'eager', 'early', 'fair', 'fleet', 'fresh', 'gentle', 'glad', 'golden',
  'hardy', 'hazel', 'honest', 'humble', 'ivory', 'jolly', 'keen', 'kind', 'late', 'lively', 'lucid', 'lunar', 'mellow', 'merry',
  'misty', 'modest', 'nimble', 'northern', 'patient', 'placid', 'polar', 'proud', 'quick', 'quiet', 'russet', 'silver', 'sober',
  'solar', 'stout', 'sunny', 'swift', 'tidal', 'upright', 'vivid', 'warm', 'witty',
];

const ANIMALS = [
  'albatross', 'anchovy', 'auk', 'avocet', 'bass', 'beluga', 'bittern', 'bream', 'carp', 'cod', 'coot', 'crab', 'crane', 'cuttle',
  'curlew', 'dolphin', 'dunlin', 'eel', 'egret', 'eider', 'fulmar', 'gannet', 'gull', 'halibut', 'heron', 'herring', 'ibis', 'krill',
  'limpet', 'lobster', 'loon', 'mackerel', 'manta', 'marlin', 'mussel', 'narwhal', 'nautilus', 'octopus', 'orca', 'osprey', 'otter',
  'oyster', 'pelican', 'penguin', 'perch', 'petrel', 'pike', 'plover', 'porpoise', 'puffin', 'ray', 'salmon', 'seal', 'shrimp',
  'skua', 'sole', 'squid', 'stork', 'sturgeon', 'tern', 'trout', 'tuna', 'walrus', 'whelk',
];

const RED = '#c5322b';
const BLUE = '#1f5aa6';
const YELLOW = '#f0b323';
const WHITE = '#fbfaf5';
const BLACK = '#1d232b';
const GREEN = '#2a7a55';
const VIOLET = '#6b4a9e';

/** Each pair can be told apart from afar, which is what signal flags are about. */
const COLOURS = [
  [WHITE, BLUE], [WHITE, RED], [YELLOW, BLUE], [YELLOW, BLACK], [YELLOW, RED], [WHITE, BLACK], [WHITE, GREEN], [YELLOW, VIOLET],
  [BLUE, WHITE], [RED, WHITE], [BLUE, YELLOW], [BLACK, YELLOW], [RED, YELLOW], [GREEN, WHITE], [VIOLET, WHITE], [GREEN, YELLOW],
];

/** Paths in a box of 12 by 9. */
const PATTERNS = [
  'M0 0h6v9H0z',
  'M0 3h12v3H0z',
  'M0 0h6v4.5H0zM6 4.5h6V9H6z',
  'M4.75 0h2.5v9h-2.5zM0 3.25h12v2.5H0z',
  'M0 0h2l4 3 4-3h2v1.5l-4 3 4 3V9h-2l-4-3-4 3H0V7.5l4-3-4-3z',
  'M6 1.9a2.6 2.6 0 1 1 0 5.2a2.6 2.6 0 1 1 0-5.2z',
  'M3 2.25h6v4.5H3z',
  'M0 9L12 0v9z',
  'M0 0l7 4.5L0 9z',
  'M0 0h2.4v9H0zM4.8 0h2.4v9H4.8zM9.6 0H12v9H9.6z',
  'M6 0l6 4.5L6 9 0 4.5z',
  'M0 0h3v3H0zM6 0h3v3H6zM3 3h3v3H3zM9 3h3v3H9zM0 6h3v3H0zM6 6h3v3H6z',
];

/** Something to call a device: two words for its key. Many keys share them; the key itself is what tells devices apart. */
export function nameOf(publicKey) {
  return `${QUALITIES[byteOf(publicKey, 0) % QUALITIES.length]} ${ANIMALS[byteOf(publicKey, 1) % ANIMALS.length]}`;
}

/** The first digits of a public key. */
export function shortKey(publicKey) {
  return publicKey.slice(0, 8);
}

/** Draws the flag of a device. */
export function flagOf(publicKey) {
  const [ground, figure] = COLOURS[byteOf(publicKey, 2) % COLOURS.length];
  const flag = svg('svg', { viewBox: '0 0 12 9', class: 'flag', 'aria-hidden': 'true' });
  flag.append(svg('path', { d: 'M0 0h12v9H0z', fill: ground }), svg('path', { d: PATTERNS[byteOf(publicKey, 3) % PATTERNS.length], fill: figure }));
  return flag;
}

function byteOf(publicKey, index) {
  return Number.parseInt(publicKey.slice(2 * index, 2 * index + 2), 16) || 0;
}
