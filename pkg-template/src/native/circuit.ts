import { Duplex } from 'node:stream';
import { Connection } from './connection.js';
import type { Tell } from './connection.js';
import type { Hypercore, KeyPair } from './hypercore.js';

/** Bytes of a circuit that its secret stream has not read, above which it is ended: a relay goes on bringing them. */
const UNREAD = 16_777_216;

/** What a circuit is made for. */
interface Ends {
  link: number;
  isInitiator: boolean;
  keyPair: KeyPair;
}

/** A secret stream of ours, whose bytes go through a relay's circuit. */
export class Circuit extends Connection {
  readonly #pipe: Pipe;

  constructor(core: Hypercore, { link, isInitiator, keyPair }: Ends, tell: Tell) {
    const pipe = new Pipe((bytes) => tell((rust) => rust.handleStreamWritten(link, bytes)) ?? false);
    const SecretStream = secretStreamOf(core);
    const stream = new SecretStream(isInitiator, pipe, { keyPair });
    core.constructor.createProtocolStream(stream);
    super(stream, tell);
    this.link = link;
    this.#pipe = pipe;
  }

  /** Takes bytes that came through the circuit. */
  read(bytes: Uint8Array): void {
    this.#pipe.push(bytes);
    if (this.#pipe.readableLength <= UNREAD) return;
    const { link } = this;
    this.tell((rust) => rust.handleStreamEnded(link));
  }

  /** Writes to the circuit again. */
  drained(): void {
    this.#pipe.drained();
  }

  override leave(): void {
    super.leave();
    this.stream.destroy();
  }
}

/** The end of a circuit, as a stream. */
class Pipe extends Duplex {
  #written: (() => void) | undefined;

  /** `write` says whether to wait for `drained` before more is written. */
  constructor(write: (bytes: Uint8Array) => boolean) {
    super({
      read: () => {},
      write: (bytes, _, written) => {
        if (write(bytes)) this.#written = written;
        else written();
      },
    });
  }

  drained(): void {
    const written = this.#written;
    this.#written = undefined;
    written?.();
  }
}

/** The class of the user's secret streams, told by one that is not used. */
function secretStreamOf(core: Hypercore) {
  const unused = core.constructor.createProtocolStream(false).noiseStream;
  unused.destroy();
  return unused.constructor;
}
