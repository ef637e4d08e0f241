// In the page: seals and opens messages of each size with each library, in turn, for as long as it is told.

import { gcm } from '@noble/ciphers/aes.js';
import { chacha20poly1305 } from '@noble/ciphers/chacha.js';
import sodium from 'sodium-javascript';
import initialise, { Ends } from '../target/bench-crypto/glue.js';

const PIPELINE = 64;
const random = (length) => crypto.getRandomValues(new Uint8Array(length));

/** Each gives a function that seals and opens a message so many times; it may give a promise. */
const CANDIDATES = {
  'ours, a call each': async () => {
    const ends = new Ends();
    return (message, count) => {
      for (let index = 0; index < count; index += 1) expect(ends.open(ends.seal(message)), message);
    };
  },
  'ours, 64 in a call': async () => {
    const ends = new Ends();
    return (message, count) => {
      for (let done = 0; done < count; done += PIPELINE) {
        if (ends.seal_and_open(message, PIPELINE) !== message.length * PIPELINE) throw new Error('it was not opened');
      }
    };
  },
  'sodium-javascript': async () => {
    const header = new Uint8Array(sodium.crypto_secretstream_xchacha20poly1305_HEADERBYTES);
    const [push, pull] = [0, 1].map(() => new Uint8Array(sodium.crypto_secretstream_xchacha20poly1305_STATEBYTES));
    const key = random(sodium.crypto_secretstream_xchacha20poly1305_KEYBYTES);
    sodium.crypto_secretstream_xchacha20poly1305_init_push(push, header, key);
    sodium.crypto_secretstream_xchacha20poly1305_init_pull(pull, header, key);
    const tag = new Uint8Array(1);
    return (message, count) => {
      for (let index = 0; index < count; index += 1) {
        const sealed = new Uint8Array(message.length + sodium.crypto_secretstream_xchacha20poly1305_ABYTES);
        const opened = new Uint8Array(message.length);
        sodium.crypto_secretstream_xchacha20poly1305_push(push, sealed, message, null, sodium.crypto_secretstream_xchacha20poly1305_TAG_MESSAGE);
        sodium.crypto_secretstream_xchacha20poly1305_pull(pull, opened, tag, sealed, null);
        expect(opened, message);
      }
    };
  },
  '@noble/ciphers ChaCha20-Poly1305': async () => noble(chacha20poly1305),
  '@noble/ciphers AES-GCM': async () => noble(gcm),
  'WebCrypto AES-GCM, one by one': async () => {
    const { seal, open } = await webCrypto();
    return async (message, count) => {
      for (let index = 0; index < count; index += 1) expect(await open(await seal(message)), message);
    };
  },
  'WebCrypto AES-GCM, 64 at once': async () => {
    const { seal, open } = await webCrypto();
    return async (message, count) => {
      for (let done = 0; done < count; done += PIPELINE) {
        const opened = await Promise.all(Array.from({ length: PIPELINE }, async () => open(await seal(message))));
        opened.forEach((one) => expect(one, message));
      }
    };
  },
};

function noble(cipher) {
  const key = random(32);
  const nonce = new Uint8Array(12);
  const counter = new DataView(nonce.buffer);
  let number = 0;
  return (message, count) => {
    for (let index = 0; index < count; index += 1) {
      counter.setUint32(0, number += 1);
      expect(cipher(key, nonce).decrypt(cipher(key, nonce).encrypt(message)), message);
    }
  };
}

async function webCrypto() {
  const key = await crypto.subtle.importKey('raw', random(32), 'AES-GCM', false, ['encrypt', 'decrypt']);
  let number = 0;
  const seal = async (message) => {
    const iv = new Uint8Array(12);
    new DataView(iv.buffer).setUint32(0, number += 1);
    return { iv, sealed: await crypto.subtle.encrypt({ name: 'AES-GCM', iv }, key, message) };
  };
  const open = async ({ iv, sealed }) => new Uint8Array(await crypto.subtle.decrypt({ name: 'AES-GCM', iv }, key, sealed));
  return { seal, open };
}

/** Not all of it: that would be measured too. */
function expect(opened, message) {
  const last = message.length - 1;
  if (opened.length !== message.length || opened[0] !== message[0] || opened[last] !== message[last]) throw new Error('something else was opened');
}

/** Messages per second of each candidate, `rounds` times. */
window.measure = async ({ wasm, sizes, rounds, milliseconds }) => {
  await initialise({ module_or_path: wasm });
  const candidates = await Promise.all(Object.entries(CANDIDATES).map(async ([name, make]) => ({ name, run: await make() })));
  const samples = {};
  for (let round = 0; round < rounds; round += 1) {
    for (const size of sizes) {
      const message = random(size);
      for (const { name, run } of candidates) ((samples[name] ??= {})[size] ??= []).push(await rate(run, message, milliseconds));
    }
  }
  return samples;
};

async function rate(run, message, milliseconds) {
  await run(message, PIPELINE);
  const start = performance.now();
  let done = 0;
  let passed = 0;
  for (let count = PIPELINE; passed < milliseconds; passed = performance.now() - start) {
    await run(message, count);
    done += count;
    if (passed < milliseconds / 20) count *= 2;
  }
  return (done / passed) * 1_000;
}
