// node fuzz/make-corpus.mjs: writes the seeds of fuzz/corpus, a few for each target, from what the protocol's own frames look like.
// A fuzzer starts from them; what it finds beyond them stays out of the checkout.

import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const corpus = join(dirname(fileURLToPath(import.meta.url)), 'corpus');

const text = (string) => [...new TextEncoder().encode(string)];
const repeat = (byte, count) => Array(count).fill(byte);
const string = (value) => [text(value).length, ...text(value)];
/** A step of a run: see `steps` in src/lib.rs. */
const step = (what, bytes = []) => [what, bytes.length, ...bytes];
/** Steps of the target `session`: a device's signal of an attempt, and what becomes of the last direct connection. */
const signal = (said, attempt, link = 0) => [1 + 16 * link, ['', 'offer', '', 'answer', 'candidate', 'close', 'too long', 'malformed'].indexOf(said) + 8 * attempt];
const tell = (what, number = 0) => [15, ['description', 'candidate', 'connectivity', 'opened', 'closed', 'failed', 'buffered', 'text'].indexOf(what) + 8 * number];
const maximum = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x1f, 0];

const hexKey = '01080f161d242b323940474e555c636a71787f868d949ba2a9b0b7bec5ccd3da';
const letterKey = `${'yb'.repeat(25)}by`;

/** The first device is offered a direct connection; the data channel opens, it has a link there and has answered on it. */
const offered = [0, 0, 2, 1, 14, 10, ...tell('description')];
const channel = [...tell('opened'), 32, 16, 18, 1, 13, 3, 23, 1];

const seeds = {
  drive_key: {
    hex: text(hexKey),
    upper_case: text(hexKey.toUpperCase()),
    url: text(`hyper://${hexKey}`),
    version: text(`hyper://${hexKey}+12/a/path?query#fragment`),
    letters: text(letterKey),
    letters_url: text(`hyper://${letterKey}/`),
    white_space: text(` ${hexKey}\n`),
    bad_padding: text('9'.repeat(52)),
    other_scheme: text('https://example.com/'),
    scheme_in_path: text(`${hexKey}/https://example.com`),
    scheme_behind_a_version: text(`${hexKey}+https://example.com`),
    empty: [],
    not_ascii: text('é'.repeat(64)),
  },
  framing: {
    empty_frame: [255, ...step(0, [0, 0, 0])],
    one_frame: [255, ...step(0, [3, 0, 0, 1, 2, 3])],
    two_frames: [255, ...step(0, [1, 0, 0, 7, 2, 0, 0, 8, 9])],
    single_bytes: [255, ...[2, 0, 0, 8, 9].flatMap((byte) => step(0, [byte]))],
    cut_in_the_length: [255, ...step(0, [2]), ...step(0, [0, 0, 1]), ...step(0, [2, 1])],
    too_long: [4, ...step(0, [5, 0, 0])],
    longest: [255, ...step(0, [255, 255, 255])],
    at_the_limit: [4, ...step(0, [4, 0, 0, 1, 2, 3, 4])],
    good_then_too_long: [4, ...step(0, [1, 0, 0, 9]), ...step(0, [0, 1, 0])],
    empty_chunks: [9, ...step(0), ...step(0, [1, 0]), ...step(0), ...step(0, [0, 5])],
  },
  relay_protocol: {
    join: [1, ...repeat(9, 32)],
    dial: [2, 7, 1],
    data: [3, 7, 1, ...text('sealed')],
    hangup: [4, 7, 1, 2],
    welcome: [1, 3, 0, 2, 1, 2],
    welcome_alone: [1, 1, 0, 0],
    welcome_too_many: [1, 1, 0, 0xfd, 1, 1],
    dialed_long_form: [2, 0xfd, 7, 0, 0xfe, 1, 0, 0, 0],
    hungup_newer_reason: [4, 7, 1, 0xfd, 0x2c, 1],
    left: [5, ...maximum],
    refused: [6, ...string('room-full'), ...string('256 members are in it')],
    ice_servers: [18, 2, ...string('stun:192.0.2.1'), 0, 0, ...string('turn:turn.example.org'), ...string('1:a'), ...string('x=')],
    ice_servers_too_many: [18, 9, ...repeat(0, 27)],
    direct: [20, 7, 1, 1],
    newer: [16, 1, 2, 3],
  },
  handshake: {
    handshake: [...step(0), ...step(1), ...step(0), ...step(1)],
    message: [...step(0), ...step(1), ...step(0), ...step(1), ...step(4, text('hello')), ...step(0)],
    both_ways: [...step(0), ...step(1), ...step(0), ...step(1), ...step(4, [1]), ...step(5, [2]), ...step(0), ...step(1)],
    keepalive: [...step(0), ...step(1), ...step(0), ...step(1), ...step(4), ...step(4, [1]), ...step(0)],
    first_changed: [...step(6, [5, 1, 0]), ...step(1)],
    second_changed: [...step(0), ...step(7, [80, 4, 0])],
    third_changed: [...step(0), ...step(1), ...step(6, [20, 1, 0])],
    header_changed: [...step(0), ...step(1), ...step(6, [70, 1, 0]), ...step(1)],
    message_changed: [...step(0), ...step(1), ...step(0), ...step(1), ...step(4, [1, 2, 3]), ...step(6, [3, 1, 0])],
    held_back: [...step(0), ...step(1), ...step(6, [255, 0, 60]), ...step(6, [255, 0, 5]), ...step(0)],
    invented_first: step(2, [32, 0, 0, 0x58, ...repeat(0x66, 31)]),
    too_long: step(2, [255, 255, 255]),
  },
  mux: {
    opened: [...step(0, [1]), ...step(1, [1]), ...step(8), ...step(9)],
    message: [...step(0, [1]), ...step(1, [1]), ...step(8), ...step(9), ...step(4, [0, 7]), ...step(9)],
    rejected: [...step(0, [1]), ...step(9), ...step(8)],
    closed: [...step(0, [1]), ...step(1, [1]), ...step(8), ...step(9), ...step(6, [0]), ...step(9), ...step(0, [2]), ...step(9)],
    closed_unanswered: [...step(0, [1]), ...step(6, [0]), ...step(0, [1]), ...step(1, [1]), ...step(8), ...step(9), ...step(8)],
    both_close: [...step(0, [1]), ...step(1, [1]), ...step(8), ...step(9), ...step(6, [0]), ...step(7, [0]), ...step(8), ...step(9)],
    foreign_open: step(14, [0, 1, 1, ...string('alpha'), 1, 0]),
    foreign_batch: step(14, [0, 0, 0, 5, 1, 1, 1, 0x61, 0, 0, 1, 2, 0, 9]),
    foreign_reject: [...step(0, [1]), ...step(14, [0, 2, 1])],
    foreign_close: [...step(0, [1]), ...step(1, [1]), ...step(8), ...step(14, [0, 3, 1])],
    nested_batch: step(14, [0, 0, 0, 4, 0, 1, 1, 0]),
    skipped_id: step(14, [0, 1, ...maximum, 0, 0]),
  },
  link: {
    topic_and_message: [...step(0, [1, 0, 0, ...string('chat')]), ...step(0, [1, 1, 0, ...text('hello')])],
    parts: [...step(0, [1, 0, 0, ...string('chat')]), ...step(0, [1, 2, 0, 6, 1, 2, 3]), ...step(0, [1, 3, 0, 4, 5, 6])],
    over_budget: [...step(0, [1, 0, 0, 1, 0x61]), ...step(0, [1, 2, 0, 0xfd, 0x90, 1, ...repeat(7, 200)]), ...step(0, [1, 3, 0, ...repeat(7, 200)])],
    unwanted: [...step(0, [1, 0, 0, ...string('unwanted')]), ...step(0, [1, 1, 0, 1])],
    goodbye: step(0, [1, 4]),
    ping_and_answer: [...step(0, [1, 5]), ...step(5, repeat(0, 9))],
    timeouts: [...step(0xfe), ...step(0xfe), ...step(0xfe)],
    send_and_take: [...step(0xfc, repeat(7, 200)), ...step(5, repeat(0, 250)), ...step(5, repeat(0, 250))],
    other_channel: [...step(0, [0, 1, 2, ...string('alpha'), 0]), ...step(5, repeat(0, 9))],
    batch: step(0, [0, 0, 1, 4, 0, 0, 1, 0x61, 4, 1, 0, 8, 9, 1, 5]),
    close: step(0, [0, 3, 1]),
    slot_not_declared: step(0, [1, 1, 5]),
  },
  // The first byte: 0 two devices, 1 three. A step is a byte that says what and to whom, and an argument.
  room: {
    meet_and_talk: [0, 12, 3, 0, 100, 32, 100, 13, 50],
    parts: [0, 12, 3, 1, 255, 0, 9, 17, 255, 14, 20, 32, 0, 13, 50],
    cut: [0, 12, 3, 2, 20, 4, 0, 2, 20, 14, 9, 20, 0, 34, 20, 12, 5],
    silent_death: [0, 12, 3, 34, 20, 6, 0, 34, 20, 14, 30, 2, 20, 12, 15],
    restarts: [1, 12, 3, 2, 20, 5, 0, 34, 20, 13, 80, 5, 0, 21, 0, 66, 20, 12, 9, 21, 0],
    sleep: [0, 12, 3, 7, 0, 34, 20, 12, 30, 2, 20, 7, 0, 12, 5, 34, 20],
    sleep_too_long: [0, 12, 3, 7, 0, 34, 20, 12, 140, 2, 20, 7, 0, 12, 5, 34, 20],
    goodbyes: [1, 12, 3, 2, 20, 8, 0, 34, 20, 12, 3, 8, 0, 12, 3, 66, 20],
    topics: [0, 12, 3, 3, 0, 34, 20, 14, 30, 3, 0, 34, 20, 35, 0, 2, 20],
    faults: [0, 12, 3, ...[0, 1, 2, 3, 4, 5, 6, 70, 141].flatMap((fault) => [9, fault, 2, 20, 34, 20, 13, 60])],
    false_leaves: [1, 12, 3, 2, 20, 11, 0, 2, 20, 12, 3, 27, 0, 66, 20, 12, 3],
    claimed_leaves_twice: [
      12, 3, 10, 10, 10, 10, 10, 100, 219, 219, 219, 219, 219, 0, 0, 20, 128, 12, 0, 12, 3, 11, 219, 219, 219, 219, 219, 0, 20,
    ],
    topic_closed_behind_messages: [0, 12, 3, 7, 0, 0, 12, 34, 20, 13, 30, 2, 20, 7, 0, 3, 7, 0, 34, 12, 5],
  },
  // A step is a byte that says what and on which link, and an argument. The first device gets our offer at once, the second after a while.
  session: {
    messages: [0, 0, 2, 1, 3, 4, 9, 4, 4, 3, 14, 20, 4, 4],
    two_links: [0, 0, 2, 1, 3, 4, 0, 16, 18, 3, 19, 4, 10, 0, 9, 2, 3, 4],
    next_link: [0, 0, 2, 1, 3, 4, 9, 4, 10, 0, 14, 100, 0, 80, 2, 5, 3, 4],
    gap: [0, 0, 2, 1, 3, 1, 2, 9, 3, 1],
    no_number: [0, 0, 8, 0, 3, 1],
    false_acknowledgement: [0, 0, 9, 2, 4, 9],
    goodbye_ahead: [0, 0, 2, 1, 3, 1, 5, 4, 3, 2, 14, 250],
    another_epoch: [0, 0, 2, 1, 3, 3, 0, 2, 18, 1, 19, 3, 0, 0],
    another_device: [0, 0, 2, 1, 3, 3, 9, 3, 0, 1, 18, 1, 19, 3],
    too_late: [0, 0, 2, 1, 3, 3, 10, 0, 13, 6, 13, 200, 0, 16, 2, 4, 3, 3, 2, 1, 3, 3],
    lost_socket: [0, 0, 2, 1, 3, 3, 9, 3, 11, 0, 13, 2, 0, 16, 2, 4, 3, 3],
    direct: [...offered, ...signal('answer', 1), ...signal('candidate', 1), ...channel, 9, 4, 19, 2, ...tell('closed'), 9, 4, 3, 2],
    direct_invited: [16, 0, 2, 1, ...signal('offer', 1), ...tell('description'), ...tell('opened'), 48, 16, 18, 1, 13, 3, 23, 1, 25, 4, 19, 2],
    direct_other_device: [...offered, ...signal('answer', 1), ...tell('opened'), 48, 16, 9, 4],
    direct_stuck: [...offered, ...signal('answer', 1), ...channel, ...tell('buffered', 31), 9, 4, 13, 3, 7, 1, 13, 3, 7, 1],
    direct_lost_way: [...offered, ...signal('answer', 1), ...channel, ...tell('connectivity', 1), 9, 4, ...tell('description'), ...tell('connectivity', 2)],
    direct_offers_at_once: [...offered, ...signal('offer', 1), ...signal('answer', 1), ...tell('opened')],
    direct_offers_at_once_to_the_polite: [16, 0, 13, 4, ...tell('description'), ...signal('offer', 1), ...tell('description'), ...tell('opened')],
    direct_later_attempts: [...offered, ...signal('offer', 9), ...signal('answer', 1), ...signal('close', 9), ...signal('offer', 9), ...signal('offer', 31)],
    direct_makes_way: [16, 0, 13, 4, 7, 1, 0, 0, 14, 10, 9, 255, ...Array(4).fill([13, 3, 7, 1, 23, 1]).flat()],
    direct_too_long: [...offered, ...signal('too long', 1)],
    direct_malformed: [...offered, ...signal('malformed', 9)],
    no_signals: [64, 0, 2, 1, 13, 4, ...signal('offer', 1), 3, 4],
  },
  // The first byte: 0 met, 1 the drive is open, 2 a peer by extensions, 3 a peer on its own channel.
  drive_peer: {
    reject_then_open: [0, ...step(0, [0, 2, 1]), ...step(1, [1, 0])],
    open_then_reject: [1, ...step(0, [0, 2, 1]), ...step(3, [1, 1, ...text('hello')])],
    corestore: [0, ...step(9, [1, 0]), ...step(9, [2, 4, ...repeat(0, 33)]), ...step(8, [0, 2, 1]), ...step(11, [1, 1, 7]), ...step(4)],
    own_channel: [0, ...step(1, [1, 1]), ...step(0, [1, 0, 0, ...string('chat')]), ...step(0, [1, 1, 0, ...text('hello')])],
    both_channels: [3, ...step(1, [2, 0]), ...step(3, [2, 1, 7]), ...step(0, [0, 3, 2]), ...step(0, [1, 5])],
    rejects_both: [0, ...step(0, [0, 2, 1]), ...step(0, [0, 2, 2])],
    wrong_capability: [0, ...step(1, [1, 2, ...repeat(0, 33)])],
    short_handshake: [0, ...step(1, [1, 3, 1, 0, 9])],
    names: [2, ...step(3, [1, 0, 1]), ...step(3, [1, 1, 2]), ...step(3, [1, 0, 3]), ...step(3, [1, 6, 4]), ...step(3, [1, 0, 5]), ...step(3, [1, 2, 6])],
    request: [2, ...step(0, [1, 1, 1, 9, 0]), ...step(0, [1, 1, 0, 0xfd, 9, 1]), ...step(6, repeat(0, 9))],
    replication: [2, ...step(0, [1, 0, 7, 0, 9, 0]), ...step(0, [1, 8, 0, 0, 9]), ...step(0, [1, 7, 0, 1, 5]), ...step(0, [1, 3, 1, 2, 3])],
    close: [2, ...step(18, [1, 1])],
    closed_and_opened: [3, ...step(1, [2, 0]), ...step(18, [2, 1]), ...step(1, [2, 0])],
    send_and_take: [2, ...step(0xfd, repeat(7, 200)), ...step(0xf5, repeat(8, 20)), ...step(6, repeat(0, 250)), ...step(6, repeat(0, 250))],
    last_words: [2, ...step(0x1d, text('so long')), ...step(23), ...step(6, repeat(0, 9))],
    timeouts: [2, ...step(0xef), ...step(0), ...step(0xef), ...step(0xef), ...step(0xef)],
    mixed_batch: [2, ...step(11, [1, 1, 7]), ...step(10, [7, 9, 9]), ...step(11, [1, 0, 8]), ...step(4)],
    skipped_id: [0, ...step(0, [0, 1, ...maximum, 0, 0])],
    one_byte: [2, ...step(0, [7])],
  },
};

rmSync(corpus, { recursive: true, force: true });
for (const [target, files] of Object.entries(seeds)) {
  mkdirSync(join(corpus, target), { recursive: true });
  for (const [name, bytes] of Object.entries(files)) writeFileSync(join(corpus, target, name), Uint8Array.from(bytes));
}
