/** The hash by which units are known: SHA-256. */
import * as cryptography from 'node:crypto';
import type { DigestPieces } from '../native/digest.ts';
import { HASH_BYTES } from './unit-table.ts';

/** One call saves a seventh of the time of createHash() on a unit. Node 20 has `crypto.hash` from 20.12 on. */
export const unitHash: (content: Uint8Array) => Uint8Array =
  typeof cryptography.hash === 'function'
    ? (content) => cryptography.hash('sha256', content, 'buffer')
    : (content) => cryptography.createHash('sha256').update(content).digest();

/** Hashes the units of one piece of memory: given the offset and length of each in turn, their hashes, one behind the other. */
export type UnitHasher = (content: Uint8Array, ranges: Uint32Array) => Uint8Array;

/** The hash number `index` of a hasher's answer. */
export function hashAt(hashes: Uint8Array, index: number): Uint8Array {
  return hashes.subarray(index * HASH_BYTES, (index + 1) * HASH_BYTES);
}

/** @param digest What openDigest offers. */
export function unitHasher(digest: DigestPieces = hashOneByOne): UnitHasher {
  return (content, ranges) => {
    const hashes = new Uint8Array((ranges.length / 2) * HASH_BYTES);
    digest(content, ranges, hashes);
    return hashes;
  };
}

function hashOneByOne(content: Uint8Array, ranges: Uint32Array, hashes: Uint8Array): void {
  for (let i = 0; i < ranges.length; i += 2) {
    const start = ranges[i] ?? 0;
    hashes.set(unitHash(content.subarray(start, start + (ranges[i + 1] ?? 0))), (i / 2) * HASH_BYTES);
  }
}
