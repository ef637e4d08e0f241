// What is looked for where it must not be: keys in every form in which somebody may write them.

import { randomBytes } from 'node:crypto';
import crypto from 'hypercore-crypto';
import sodium from 'sodium-universal';

const Z_BASE_32 = 'ybndrfg8ejkmcpqxot1uwisza345h769';

/** A drive, and what is derived from its key: one that no other test uses, or the one with this key. */
export class SecretDrive {
  #key;

  constructor(key = randomBytes(32)) {
    this.#key = key;
  }

  /** Its URL, as a page names it. */
  get url() {
    return `hyper://${this.#key.toString('hex')}`;
  }

  /** Its URL in the other form, which means the same. */
  get shortUrl() {
    return `hyper://${zBase32(this.#key)}`;
  }

  /** The key as bytes, hex and z-base-32. */
  get keyForms() {
    return formsOf(this.#key);
  }

  /** The discovery key as bytes, hex and z-base-32. */
  get discoveryKeyForms() {
    return formsOf(crypto.discoveryKey(this.#key));
  }

  /** The id of its room, which a relay does learn: 32 bytes. */
  get rendezvousId() {
    const id = Buffer.alloc(32);
    sodium.crypto_generichash(id, Buffer.from('peersockets/rendezvous/1'), this.#key);
    return id;
  }
}

/** Those of the needles that are in one of the buffers. */
export function found(needles, buffers) {
  return needles.filter((needle) => buffers.some((buffer) => buffer.includes(needle)));
}

function formsOf(key) {
  const texts = [key.toString('hex'), key.toString('hex').toUpperCase(), zBase32(key), zBase32(key).toUpperCase(), key.toString('base64url').slice(0, 42)];
  return [key, ...texts.map((text) => Buffer.from(text))];
}

function zBase32(bytes) {
  const bits = [...bytes].map((byte) => byte.toString(2).padStart(8, '0')).join('');
  return bits.match(/.{1,5}/g).map((five) => Z_BASE_32[Number.parseInt(five.padEnd(5, '0'), 2)]).join('');
}
