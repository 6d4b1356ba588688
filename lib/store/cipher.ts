/**
 * Sealing with AES-256-GCM. No key is ever used for two messages with one nonce, without counting anything across processes:
 *
 *     job key    = HKDF(user's key, info = job id)
 *     object key = HKDF(job key, salt = 16 random bytes of that object)
 *
 * A small object (manifest, head) is one message with nonce 0, with its purpose, job id and life, epoch, sequence and name as additional authenticated
 * data. A unit of a pack has its offset in the pack as nonce; a pack's salt is in its
 * name, and a retried upload sends the same bytes. So an object that is presented under another name, for another job, epoch or sequence
 * cannot be opened, and neither can a unit that was moved.
 */
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import { packIdentity } from './names.ts';
import { badArgument, unauthentic } from './store-error.ts';

export const TAG_BYTES = 16;
const SALT_BYTES = 16;
const ALGORITHM = 'aes-256-gcm';
const MAGIC: Uint8Array = Buffer.from('BLCRSEAL');

/** The place an object belongs to; authenticated with it. */
export interface Place {
  readonly purpose: 'manifest' | 'head';
  readonly jobId: string;
  /** Tells a job from earlier ones of the same id (head.ts); empty for the head itself. */
  readonly life: string;
  readonly epoch: number;
  readonly sequence: number;
  readonly name: string;
}

/** @throws {StoreError} ERR_STORE_ARGUMENT unless the key has 32 bytes. */
export function jobKey(key: Uint8Array, jobId: string): Uint8Array {
  if (key.length !== 32) throw badArgument(`the key has ${key.length} bytes; AES-256-GCM needs exactly 32`);
  return derive(key, new Uint8Array(0), ['job', jobId]);
}

/** Key of the units of one pack. @param name Of any try to store it. */
export function packKey(key: Uint8Array, jobId: string, name: string): Uint8Array {
  const pack = packIdentity(name);
  return derive(key, Buffer.from(pack.slice(-2 * SALT_BYTES), 'hex'), ['pack', jobId, pack]);
}

/** Encrypts a unit into `target` at `offset`. @returns Bytes written: content and tag. */
export function sealUnit(key: Uint8Array, content: Uint8Array, target: Uint8Array, offset: number): number {
  const cipher = createCipheriv(ALGORITHM, key, unitNonce(offset));
  const body = cipher.update(content);
  cipher.final();
  target.set(body, offset);
  target.set(cipher.getAuthTag(), offset + body.length);
  return body.length + TAG_BYTES;
}

/** @throws {Error} When the unit was not sealed with this key for this offset. */
export function openUnit(key: Uint8Array, sealed: Uint8Array, offset: number): Uint8Array {
  const decipher = createDecipheriv(ALGORITHM, key, unitNonce(offset), { authTagLength: TAG_BYTES });
  decipher.setAuthTag(sealed.subarray(sealed.length - TAG_BYTES));
  const content = decipher.update(sealed.subarray(0, sealed.length - TAG_BYTES));
  decipher.final();
  return content;
}

/** Seals a whole object for its place. */
export function sealObject(key: Uint8Array, place: Place, content: Uint8Array): Uint8Array {
  const salt = randomBytes(SALT_BYTES);
  const cipher = createCipheriv(ALGORITHM, derive(key, salt, ['object']), new Uint8Array(12));
  cipher.setAAD(additionalData(place));
  const body = cipher.update(content);
  cipher.final();
  return Buffer.concat([MAGIC, salt, body, cipher.getAuthTag()]);
}

export function isSealed(object: Uint8Array): boolean {
  return Buffer.compare(object.subarray(0, MAGIC.length), MAGIC) === 0;
}

/**
 * Opens an object that was sealed for exactly this place.
 * @throws {StoreError} ERR_STORE_AUTH otherwise, naming `path`.
 */
export function openObject(key: Uint8Array, place: Place, object: Uint8Array, path: string): Uint8Array {
  const start = MAGIC.length + SALT_BYTES;
  if (!isSealed(object) || object.length < start + TAG_BYTES) throw unauthentic(path, 'it is not sealed');
  const salt = object.subarray(MAGIC.length, start);
  const decipher = createDecipheriv(ALGORITHM, derive(key, salt, ['object']), new Uint8Array(12), {
    authTagLength: TAG_BYTES,
  });
  decipher.setAAD(additionalData(place));
  decipher.setAuthTag(object.subarray(object.length - TAG_BYTES));
  try {
    const content = decipher.update(object.subarray(start, object.length - TAG_BYTES));
    decipher.final();
    return content;
  } catch (cause) {
    throw unauthentic(path, 'it was not sealed with this key for this job, epoch, sequence and name', cause);
  }
}

function additionalData(place: Place): Uint8Array {
  return Buffer.from(JSON.stringify([place.purpose, place.jobId, place.life, place.epoch, place.sequence, place.name]));
}

function derive(key: Uint8Array, salt: Uint8Array, info: readonly string[]): Uint8Array {
  // HKDF takes at most 1024 bytes of info; an id is shorter than that, and JSON keeps the parts apart. Source: RFC 5869.
  return new Uint8Array(hkdfSync('sha256', key, salt, JSON.stringify(['node-blcr store 1', ...info]), 32));
}

function unitNonce(offset: number): Uint8Array {
  const nonce = Buffer.alloc(12);
  nonce.writeUInt32LE(offset, 0);
  return nonce;
}
