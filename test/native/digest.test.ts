/** The addon's own SHA-256 against Node's. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { openDigest } from '../../lib/native/digest.ts';
import { loadNative } from '../../lib/native/load.ts';
import { type UnitHasher, unitHasher } from '../../lib/store/unit-hash.ts';

const hash = (content: Uint8Array): string => createHash('sha256').update(content).digest('hex');

function hashesOf(hasher: UnitHasher, ranges: readonly number[]): string[] {
  const hashes = Buffer.from(hasher(content, new Uint32Array(ranges)));
  return ranges.flatMap((_, i) => (i % 2 === 0 ? [hashes.subarray(i * 16, i * 16 + 32).toString('hex')] : []));
}

const content = new Uint8Array(new SharedArrayBuffer(300_000));
content.set(randomBytes(content.length));
const ranges = [
  0, 65_536, 65_536, 65_536, 131_073, 1, 0, 0, 7, 65_529, 200_000, 63, 200_001, 64, 299_000, 1000, 5, 4097,
];
const expected = ranges.flatMap((start, i) =>
  i % 2 === 0 ? [hash(content.subarray(start, start + (ranges[i + 1] ?? 0)))] : [],
);

test('units are hashed as Node hashes them, in memory that threads share', () => {
  for (const hasher of [unitHasher(openDigest(undefined)), unitHasher(undefined)]) {
    assert.deepEqual(hashesOf(hasher, ranges), expected);
    assert.deepEqual(hashesOf(hasher, []), []);
  }
});

test('the addon hashes where this processor has the instructions for it', () => {
  const has = /^flags.*\bsha_ni\b/m.test(readFileSync('/proc/cpuinfo', 'utf8'));
  assert.equal(openDigest(undefined) !== undefined, has);
});

test('ranges that are not in the content are refused, and so are other kinds of arrays', () => {
  const { sha256 } = loadNative();
  const digests = new Uint8Array(32);
  for (const range of [
    [0, 300_001],
    [300_001, 0],
    [1, 300_000],
    [0xffffffff, 0xffffffff],
  ]) {
    assert.throws(() => sha256(content, new Uint32Array(range), digests), TypeError);
  }
  assert.throws(() => sha256(content, new Uint32Array([0, 1, 1, 1]), digests), TypeError);
  assert.throws(() => sha256(new Uint32Array(8) as unknown as Uint8Array, new Uint32Array(0), digests), TypeError);
  assert.throws(() => sha256(content, [0, 1] as unknown as Uint32Array, digests), TypeError);
});
