import { Buffer } from 'node:buffer';
import { createPrivateKey, createPublicKey, randomBytes } from 'node:crypto';
import { PeerSocketsError } from '../errors.js';
import type { ConnectOptions } from '../hyperdrive.js';
import { misnamedOptions } from '../option-names.js';
import { chooseSessionTime, copyList, orRefuse, requireObject } from '../options.js';
import type { Page } from '../page.js';
import { chooseRelays } from '../relays.js';
import type { GlueOptions } from '../seam.js';
import { thrownText } from '../text.js';
import type { Hyperdrive, KeyPair } from './hypercore.js';
import type { Streams } from './streams.js';
import { loadNativeWasm } from './wasm.js';

/** The bytes of a seed, the first half of a secret key. */
const SEED = 32;

/** What stands before the seed of an Ed25519 key in PKCS #8 (RFC 8410). */
const SEED_HEADER = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];

/** Every option; the compiler holds this list to the types. */
const OPTIONS: Record<keyof ConnectOptions, true> = { relays: true, keyPair: true, sessionTime: true, wasm: true };

/** A process is no page: nothing has a default there. */
const NOWHERE: Page = { origin: 'null', hasDocument: false, address: '', base: '', meta: () => [] };

/** What {@link connect} was given. */
export interface Given {
  drive: unknown;
  options: ConnectOptions | null | undefined;
}

/** Loads the WebAssembly and waits for the drive; the options are read at once. Rejects with a {@link PeerSocketsError}. */
export async function prepareNative({ drive: given, options }: Given, streams: Streams): Promise<GlueOptions> {
  const { relays, keyPair, session, wasm } = orRefuse(() => {
    requireObject(options);
    const [misnamed] = misnamedOptions(options, OPTIONS);
    if (misnamed) throw new PeerSocketsError(misnamed);
    const { relays, keyPair, sessionTime, wasm } = options ?? {};
    return { relays: chooseRelays(copyList(relays), NOWHERE, true), keyPair: chooseKeyPair(keyPair), session: chooseSessionTime(sessionTime), wasm };
  });
  const drive = readDrive(given);
  const opening = openCore(drive);
  try {
    await Promise.all([opening, loadNativeWasm(wasm)]);
  } catch (failure) {
    void opening.then((core) => core.close()).catch(() => {});
    throw failure;
  }
  const core = await opening;
  streams.identify({ drive, core, keyPair });
  const key = Array.from(drive.key, (byte) => byte.toString(16).padStart(2, '0')).join('');
  return { drive: key, origin: 'null', relays, peers: [], isSecure: false, directPeers: 0, ...session, host: streams, deviceSeed: keyPair.secretKey.subarray(0, SEED) };
}

/** What was given, if it has what a hyperdrive has. */
export function readDrive(given: unknown): Hyperdrive {
  const drive = given as Hyperdrive | null | undefined;
  const isDrive = () => [drive?.ready, drive?.replicate, drive?.core.session, drive?.core.constructor.createProtocolStream].every((method) => typeof method === 'function');
  try {
    if (isDrive()) return drive as Hyperdrive;
  } catch {
    // Nor has it a core.
  }
  throw new PeerSocketsError({ code: 'bad-drive', reason: 'connect() was given no Hyperdrive' });
}

/** A session of the drive's core that keeps nobody from closing it. */
async function openCore(drive: Hyperdrive) {
  try {
    await drive.ready();
    const core = drive.core.session({ weak: true });
    await core.ready();
    return core;
  } catch (cause) {
    throw new PeerSocketsError({ code: 'bad-drive', reason: `the drive could not be opened: ${thrownText(cause)}`, cause });
  }
}

/**
 * The pair that was given, or a new one. The public key is read from the secret one, which holds it. Halves that do not belong together
 * would fail every handshake in silence.
 */
function chooseKeyPair(given: ConnectOptions['keyPair']): KeyPair {
  if (given === undefined) return keyPairOf(randomBytes(SEED));
  const { secretKey, publicKey } = given;
  if (!(secretKey instanceof Uint8Array) || secretKey.byteLength !== 2 * SEED) throw new TypeError('keyPair.secretKey is not 64 bytes');
  const keyPair = keyPairOf(secretKey.subarray(0, SEED));
  if (!isEqual(secretKey, keyPair.secretKey)) throw new TypeError('keyPair.secretKey is not a seed and the public key that belongs to it');
  if (publicKey !== undefined && !isEqual(publicKey, keyPair.publicKey)) throw new TypeError('keyPair.publicKey does not belong to keyPair.secretKey');
  return keyPair;
}

/** The pair that a seed makes. */
function keyPairOf(seed: Uint8Array): KeyPair {
  const key = new Uint8Array([...SEED_HEADER, ...seed]);
  const { x } = createPublicKey(createPrivateKey({ key, format: 'der', type: 'pkcs8' })).export({ format: 'jwk' });
  const secretKey = new Uint8Array([...seed, ...Buffer.from(x, 'base64url')]);
  return { publicKey: secretKey.subarray(SEED), secretKey };
}

function isEqual(given: unknown, expected: Uint8Array): boolean {
  return given instanceof Uint8Array && given.byteLength === expected.byteLength && expected.every((byte, index) => byte === given[index]);
}
