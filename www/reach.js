const REASONS = {
  'bad-link': 'this link names no drive',
  'not-running': 'this page is not running',
  offline: 'this page is offline',
  connecting: 'the relay is not reached yet',
  alone: 'nobody else is here',
};

const OBSTACLES = { loading: 'connecting', connecting: 'connecting', offline: 'offline', closed: 'not-running', failed: 'not-running' };

/** Whether what is sent now can reach anyone, and why not. Dispatches `change`. */
export class Reach extends EventTarget {
  #sockets;
  #peers;
  #hasDrive = true;

  constructor(sockets, peers) {
    super();
    this.#sockets = sockets;
    this.#peers = peers;
    const tell = () => this.dispatchEvent(new Event('change'));
    sockets.addEventListener('state', tell);
    peers.addEventListener('change', tell);
    sockets.addEventListener('error', ({ code }) => {
      if (code !== 'bad-drive') return;
      this.#hasDrive = false;
      tell();
    });
  }

  /** What is in the way: `bad-link`, `not-running`, `offline`, `connecting`, `alone`, or `undefined` for nothing. */
  get obstacle() {
    if (!this.#hasDrive) return 'bad-link';
    return OBSTACLES[this.#sockets.state] ?? (this.#peers.count === 0 ? 'alone' : undefined);
  }

  /** The obstacle in words, to go on a sentence with. */
  get reason() {
    return REASONS[this.obstacle];
  }

  /** Whether that will not change while this page is open. */
  get isHopeless() {
    return this.obstacle === 'bad-link' || this.obstacle === 'not-running';
  }
}
