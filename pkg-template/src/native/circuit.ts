import { Buffer } from 'node:buffer';
import { Connection } from './connection.js';
import type { Tell } from './connection.js';
import type { RawStream } from './hypercore.js';

/** A secret stream of ours, whose bytes go through a relay's circuit. */
export class Circuit extends Connection {
  readonly #raw: RawStream;

  /** `raw` is the side of the stream that is sealed. */
  constructor(raw: RawStream, link: number, tell: Tell) {
    super(raw.noiseStream, tell);
    this.link = link;
    this.#raw = raw;
    raw.on('data', (bytes) => {
      if (tell((rust) => rust.handleStreamWritten(link, bytes))) raw.pause();
    });
    // The stream's `close` follows; without a listener it would end the process.
    raw.on('error', () => {});
  }

  /** Takes bytes that came through the circuit. */
  read(bytes: Uint8Array): void {
    this.#raw.write(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  }

  /** Writes to the circuit again. */
  drained(): void {
    this.#raw.resume();
  }

  override leave(): void {
    super.leave();
    this.stream.destroy();
  }
}
