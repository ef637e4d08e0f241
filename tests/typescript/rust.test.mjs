// What TypeScript and the documents repeat of Rust: codes, states and limits must be the same in all.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { Backlog } from '../../target/package/pkg-modules/backlog.js';
import { remedyFor } from '../../target/package/pkg-modules/errors.js';
import { LONGEST } from '../../target/package/pkg-modules/message.js';

const root = new URL('../../', import.meta.url);
const read = (path) => readFile(new URL(path, root), 'utf8');

/** A document's words, without the stars and line breaks of its comments. */
const words = (text) => text.replace(/\s*\n\s*\*?\s*/g, ' ');

const limits = readLimits(await read('core/src/limits.rs'));
const { MESSAGE, TOPIC_NAME, TOPICS, EARLY_MESSAGES, EARLY_BYTES, SEND_QUEUE, SEND_QUEUE_MESSAGES, LAST_WORDS, RELAYS, DRIVE_PEERS } = limits;

test('every_code_that_rust_sends_has_a_remedy', async () => {
  const codes = await readCodes();
  assert.ok(codes.length >= 20, `only ${codes} were found`);
  const unknown = remedyFor('a-code-that-nobody-sends');
  assert.deepEqual(codes.filter((code) => remedyFor(code) === unknown), []);
});

test('the_types_have_every_state_that_rust_names', async () => {
  const types = words(await read('pkg/dist/stats.d.ts'));
  for (const place of ['RelayStats', 'DrivePeerStats']) {
    const states = unionOf(new RegExp(`interface ${place} .*? state: ([^;]+);`).exec(types)[1]);
    assert.deepEqual(states, namesIn(await read('core/src/swarm/endpoint.rs')), place);
  }
  const own = unionOf(/type State = ([^;]+);/.exec(types)[1]);
  assert.deepEqual(namesIn(await read('core/src/swarm/output.rs')).filter((state) => !own.includes(state)), []);
});

test('the_types_have_every_path_that_rust_names', async () => {
  const types = words(await read('pkg/dist/stats.d.ts'));
  assert.deepEqual(unionOf(/type Path = ([^;]+);/.exec(types)[1]), namesIn(await read('core/src/swarm/stats.rs')));
});

test('the_longest_message_is_that_of_rust', () => assert.equal(LONGEST, MESSAGE));

/** What a constant is in the text of a module, without underscores and quotes. */
function constantOf(source, name) {
  const value = new RegExp(`const ${name}(?:: &str)? = ([^;]+);`).exec(source)?.[1];
  assert.ok(value, `no ${name}`);
  return value.replace(/^['"](.*)['"]$/, '$1').replaceAll('_', '');
}

test('what_direct_connections_repeat_is_that_of_rust', async () => {
  const direct = await read('pkg-template/src/direct.ts');
  assert.equal(Number(constantOf(direct, 'PEERS')), limits.DIRECT_PEERS);
  assert.equal(Number(constantOf(direct, 'MOST_PEERS')), limits.DEVICES);
  assert.equal(Number(constantOf(await read('pkg-template/src/peer-connection.ts'), 'LOW_WATER')), limits.CHANNEL_LOW_WATER);
});

test('what_only_native_peers_repeat_is_that_of_rust', async () => {
  const native = (file) => read(`pkg-template/src/native/${file}`);
  assert.equal(Number(constantOf(await native('web-socket.ts'), 'RELAY_MESSAGE')), limits.RELAY_MESSAGE);
  assert.equal(Number(constantOf(await native('circuit.ts'), 'UNREAD')), limits.HOST_UNREAD);
  assert.equal(constantOf(await native('pairing.ts'), 'PROTOCOL'), constantOf(await read('core/src/channel/peersockets.rs'), 'PROTOCOL'));
  assert.equal(constantOf(await native('extensions.ts'), 'PREFIX'), constantOf(await read('core/src/channel/hypercore.rs'), 'TOPIC'));
});

test('as_much_waits_for_the_wasm_as_for_the_first_relay', () => {
  const handle = {};
  const messages = new Backlog();
  messages.open(handle);
  for (let count = 0; count < EARLY_MESSAGES; count += 1) {
    assert.equal(messages.hasRoom(0), true);
    messages.send(handle, {}, 1, 0);
  }
  assert.equal(messages.hasRoom(0), false);
  const bytes = new Backlog();
  assert.equal(bytes.hasRoom(EARLY_BYTES), true);
  assert.equal(bytes.hasRoom(EARLY_BYTES + 1), false);
  bytes.open(handle);
  bytes.send(handle, {}, 1, EARLY_BYTES);
  assert.equal(bytes.hasRoom(1), false);
});

test('a_message_that_waits_for_the_wasm_counts_as_much_as_after', () => {
  const [backlog, handle] = [new Backlog(), {}];
  backlog.open(handle);
  backlog.send(handle, {}, 1, 100);
  assert.deepEqual([backlog.weight(1), backlog.weight(2), backlog.weight()], [100 + limits.MESSAGE_WEIGHT, 0, 100 + limits.MESSAGE_WEIGHT]);
});

test('as_many_handles_are_open_before_the_wasm_is_loaded_as_after', () => {
  const backlog = new Backlog();
  for (let count = 0; count < limits.HANDLES; count += 1) assert.equal(backlog.open({}), true);
  assert.equal(backlog.open({}), false);
});

test('the_types_and_remedies_state_the_limits_of_rust', async () => {
  const claims = {
    'errors.js': [
      `${number(MESSAGE)} bytes is the most`, `${TOPIC_NAME} bytes of UTF-8 is the most`, `${TOPICS} can be joined at once`, `at most ${RELAYS} relays`,
      `at most ${DRIVE_PEERS} drive peers`,
    ],
    'events.d.ts': [`0 to ${number(MESSAGE)} of them`, `over ${number(MESSAGE)} characters`],
    'topic.d.ts': [
      `0 to ${number(MESSAGE)} bytes`,
      `${binary(SEND_QUEUE)} or ${number(SEND_QUEUE_MESSAGES)} messages wait for that peer`,
      `messages of ${TOPICS} topics`,
      `${EARLY_MESSAGES} messages or ${binary(EARLY_BYTES)} in all`,
      `and ${limits.MESSAGE_WEIGHT} for each message`, `Over ${binary(limits.SEND_HIGH_WATER)} waited for a peer`, `is over ${binary(limits.SEND_HIGH_WATER)}`, `when ${binary(limits.SEND_LOW_WATER)} or less are left`,
    ],
    'peer-sockets.d.ts': [
      `over ${TOPIC_NAME} bytes of UTF-8`, `\`too-many-topics\` (over ${TOPICS})`, `${RELAYS} at most`, `${DRIVE_PEERS} at most`, `as far as ${binary(LAST_WORDS)} for each peer`,
    ],
    'stats.d.ts': [`at most ${RELAYS}`, `at most ${DRIVE_PEERS}`],
    'engine.js': [`more than ${EARLY_MESSAGES} messages or ${binary(EARLY_BYTES)} were sent`],
  };
  for (const [file, statements] of Object.entries(claims)) {
    const text = words(await read(`${file.endsWith('.js') ? 'target/package/pkg-modules' : 'pkg/dist'}/${file}`));
    assert.deepEqual(statements.filter((statement) => !text.includes(statement)), [], file);
  }
});

test('the_readme_states_the_limits_of_rust', async () => {
  const rows = (await read('README.md')).split('\n').filter((line) => line.startsWith('| ')).map((line) => line.split(' | '));
  for (const [what, required, ...others] of [
    ['message', [MESSAGE]],
    ['topic name; topics joined', [TOPIC_NAME, TOPICS]],
    ['waiting to be sent to one peer', [SEND_QUEUE, limits.SEND_HIGH_WATER], SEND_QUEUE_MESSAGES, TOPICS],
    ['waiting to be sent to all peers', [limits.SEND_QUEUES, limits.MESSAGE_WEIGHT]],
    ['sent before the first relay is joined', [EARLY_MESSAGES, EARLY_BYTES]],
    ['incomplete messages, from all peers', [limits.REASSEMBLY]],
    ['devices of one drive; of them behind one address', [limits.ROOM, limits.ROOM_PER_ADDRESS]],
    ['relays of a list; drive peers', [RELAYS, DRIVE_PEERS]],
    ['cores that a native peer has open at once', [limits.CHANNELS]],
  ]) {
    const row = rows.find(([first]) => first === `| ${what}`);
    assert.ok(row, `no row of the README says how many: ${what}`);
    const stated = numbersIn(row[1].replace('UTF-8', ''));
    assert.deepEqual(required.filter((limit) => !stated.includes(limit)), [], `missing: ${what}`);
    assert.deepEqual(stated.filter((limit) => ![...required, ...others].includes(limit)), [], `wrong: ${what}`);
  }
});

/** Every `usize` of limits.rs by its name. */
function readLimits(source) {
  const found = {};
  const valueOf = (factor) => found[factor] ?? Number(factor.replaceAll('_', ''));
  for (const [, name, expression] of source.matchAll(/^pub const (\w+): usize = ([^;]+);/gm)) {
    found[name] = expression.split(' + ').map((sum) => sum.split(' * ').map(valueOf).reduce((a, b) => a * b)).reduce((a, b) => a + b);
    assert.ok(Number.isSafeInteger(found[name]), `${name} = ${expression} can not be read`);
  }
  return found;
}

/** The codes of reports, those of a relay's refusals included. */
async function readCodes() {
  const source = await read('core/src/code.rs');
  return [...source.matchAll(/=> "([a-z-]+)"/g)].map(([, code]) => code);
}

/** The names that an enum of Rust gives itself. */
function namesIn(source) {
  return [...source.matchAll(/Self::\w+(?:\([^)]*\))?(?: \| Self::\w+\([^)]*\))* => "([a-z]+)"/g)].map(([, name]) => name).sort();
}

function unionOf(type) {
  return type.split(' | ').map((name) => name.slice(1, -1)).sort();
}

/** As people write it: 8,388,607. */
function number(value) {
  return value.toLocaleString('en');
}

/** As people write it: 16 MiB. */
function binary(value) {
  return value % 2 ** 20 === 0 ? `${value / 2 ** 20} MiB` : `${value / 2 ** 10} KiB`;
}

function numbersIn(text) {
  return [...text.matchAll(/(\d[\d,]*)( [KM]iB)?/g)].map(([, digits, unit]) => Number(digits.replaceAll(',', '')) * ({ ' KiB': 2 ** 10, ' MiB': 2 ** 20 }[unit] ?? 1));
}
