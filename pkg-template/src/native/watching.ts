import type { SecretStream } from './hypercore.js';

/** Told of what happens on a secret stream. */
export interface Watcher {
  /** Something came. */
  onData(): void;
  /** It takes more. */
  onDrain(): void;
  /** It is over. */
  onClose(): void;
}

const watchers = new WeakMap<SecretStream, Shared>();

/** Watches a stream until the returned function is called. Several drives may share a stream: its listeners are the same for all of them. */
export function watch(stream: SecretStream, watcher: Watcher): () => void {
  const shared = watchers.get(stream) ?? new Shared(stream);
  watchers.set(stream, shared);
  shared.add(watcher);
  return () => {
    shared.delete(watcher);
    if (shared.size === 0) watchers.delete(stream);
  };
}

/** All who watch one stream. */
class Shared {
  readonly #stream: SecretStream;
  readonly #watchers = new Set<Watcher>();
  readonly #onData = () => this.#tell((watcher) => watcher.onData());
  readonly #onDrain = () => this.#tell((watcher) => watcher.onDrain());
  readonly #onClose = () => this.#tell((watcher) => watcher.onClose());

  constructor(stream: SecretStream) {
    this.#stream = stream;
  }

  get size(): number {
    return this.#watchers.size;
  }

  add(watcher: Watcher): void {
    if (this.size === 0) this.#stream.on('data', this.#onData).on('drain', this.#onDrain).on('close', this.#onClose);
    this.#watchers.add(watcher);
  }

  delete(watcher: Watcher): void {
    this.#watchers.delete(watcher);
    if (this.size === 0) this.#stream.off('data', this.#onData).off('drain', this.#onDrain).off('close', this.#onClose);
  }

  #tell(tell: (watcher: Watcher) => void): void {
    for (const watcher of [...this.#watchers]) tell(watcher);
  }
}
