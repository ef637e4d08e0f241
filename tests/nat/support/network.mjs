// Networks of their own, as Linux has them: namespaces. They have no names and leave nothing behind, whatever ends the tests: a network
// lasts as long as a process in it, and every process here ends with ours.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { after } from 'node:test';
import { systemCommand } from '../../../scripts/debian.mjs';

/** Who is not root makes networks as root of a user namespace. */
const isRoot = process.getuid() === 0;

/** A network that nothing is connected to yet. */
export class Network {
  #holder;
  #enter;

  /** Makes one that lasts until the test file ends. All that are to be linked come from the same `first`. */
  static async create(first) {
    const network = new Network();
    const asRoot = isRoot || first ? [] : ['--user', '--map-root-user'];
    const [program, ...words] = [...first?.#enterUser() ?? [], 'unshare', '--net', ...asRoot, 'sh', '-c', 'echo there; exec cat'];
    // It waits on our end of a pipe, so it does not outlive us.
    network.#holder = spawn(program, words, { stdio: ['pipe', 'pipe', 'inherit'] });
    after(() => network.#holder.stdin.end());
    const { value } = await createInterface({ input: network.#holder.stdout })[Symbol.asyncIterator]().next();
    if (value !== 'there') throw new Error('this machine does not let us make networks: that takes root, or user namespaces');
    network.#enter = [...network.#enterUser(), 'nsenter', '--target', String(network.#holder.pid), '--net', 'setpriv', '--pdeathsig', 'KILL'];
    await network.ip('link set lo up');
    return network;
  }

  /** Words that go in front of a command line to have it run in this network. */
  get enter() {
    return this.#enter;
  }

  /** Starts a program in this network; it ends with us at the latest. */
  spawn(program, words, options) {
    const [first, ...rest] = [...this.#enter, program, ...words];
    return spawn(first, rest, options);
  }

  /** Runs a program in this network to its end; `input` is what it reads. */
  async run(program, words, input = '') {
    const child = this.spawn(program, words, { stdio: ['pipe', 'ignore', 'pipe'] });
    // Who reads nothing may have ended; one that should have read says why it did not.
    child.stdin.on('error', () => {}).end(input);
    const said = [];
    createInterface({ input: child.stderr }).on('line', (line) => said.push(line));
    const [code] = await once(child, 'close');
    if (code !== 0) throw new Error(`\`${program} ${words.join(' ')}\` ended with ${code}: ${said.join('\n')}`);
  }

  /** Tells `ip` lines such as `link set lo up`. */
  ip(...lines) {
    return this.run(systemCommand('ip'), ['-batch', '-'], `${lines.join('\n')}\n`);
  }

  /** Tells `nft` rules. */
  nft(rules) {
    return this.run(systemCommand('nft'), ['--file', '-'], rules);
  }

  /** Has it pass on what is for others; until then it drops that in silence. */
  forward() {
    return this.run('sh', ['-c', 'echo 1 > /proc/sys/net/ipv4/ip_forward']);
  }

  /** Lays a cable to another network; each end is the interface and its address there. */
  async link(ours, other, theirs) {
    await this.ip(`link add ${ours.name} type veth peer name ${theirs.name} netns ${other.#holder.pid}`);
    await this.ip(`address add ${ours.address} dev ${ours.name}`, `link set ${ours.name} up`);
    await other.ip(`address add ${theirs.address} dev ${theirs.name}`, `link set ${theirs.name} up`);
  }

  #enterUser() {
    return isRoot ? [] : ['nsenter', '--target', String(this.#holder.pid), '--user', '--preserve-credentials'];
  }
}
