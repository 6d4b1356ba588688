import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { jobKey, openObject, openUnit, packKey, sealObject, sealUnit, TAG_BYTES } from '../../lib/store/cipher.ts';
import { codecNamed, compress, decompress } from '../../lib/store/codec.ts';
import { decodeManifest, encodeManifest, type Manifest } from '../../lib/store/manifest.ts';
import { history, jobDirectory, jobIdOf, manifestName, packAttempt, packName } from '../../lib/store/names.ts';
import { RecipeWriter, readRecipe, type Step } from '../../lib/store/recipe.ts';
import { ROW_BYTES, UnitTable } from '../../lib/store/unit-table.ts';
import { RECORD } from './backends.ts';

const JOB = 'job/1 ü';
const NAME = manifestName('checkpoint', 7, 3);

function sample(): Manifest {
  const table = new UnitTable();
  for (let i = 0; i < 50; i++) {
    table.append(randomBytes(32), { pack: i % 2, offset: i * 100, stored: 100, raw: 65_536, codec: i % 4 });
  }
  const recipe = new RecipeWriter();
  recipe.inline(Buffer.from('head'));
  for (let row = 0; row < 50; row++) recipe.unit(row);
  recipe.zeros(4096);
  const file = { path: 'a/b', role: 'scratch', kind: 'file', mode: 0o644, size: 5, mtimeNs: '17', inode: 3 } as const;
  const facts = { jobId: JOB, epoch: 3, sequence: 7, created: 1, contextBytes: 2, fileBytes: 3, storedBytes: 4 };
  const packs = [3, 3].map((epoch) => ({ name: packName(epoch), size: 10_000 }));
  const inline = new RecipeWriter();
  inline.inline(Buffer.from('12345'));
  return {
    ...facts,
    record: RECORD,
    finished: undefined,
    packs,
    rows: table.rows,
    context: recipe.finish(),
    files: [{ entry: file, recipe: inline.finish() }],
  };
}

function plain(manifest: Manifest): unknown {
  const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
  const files = manifest.files.map(({ entry, recipe }) => ({ entry, recipe: hex(recipe) }));
  return { ...manifest, rows: hex(manifest.rows), context: hex(manifest.context), files };
}

test('a manifest comes back as it was', () => {
  const manifest = sample();
  assert.deepEqual(plain(decodeManifest(encodeManifest(manifest), 'p', JOB, NAME)), plain(manifest));
});

test('every changed byte and every truncation of a manifest is refused', () => {
  const encoded = Buffer.from(encodeManifest(sample()));
  for (let at = 0; at < encoded.length; at += 7) {
    const changed = Buffer.from(encoded);
    changed[at] = (changed[at] ?? 0) ^ (1 << (at % 8));
    assert.throws(() => decodeManifest(changed, 'the/path', JOB, NAME), {
      code: 'ERR_STORE_CORRUPT',
      path: 'the/path',
    });
    assert.throws(() => decodeManifest(encoded.subarray(0, at), 'p', JOB, NAME), { code: 'ERR_STORE_CORRUPT' });
  }
});

/** Makes the hash right again, as an attacker without a key would. */
function rehash(encoded: Uint8Array): Buffer {
  const body = Buffer.from(encoded.subarray(0, encoded.length - 32));
  return Buffer.concat([body, createHash('sha256').update(body).digest()]);
}

test('a manifest with a right hash and wrong content fails as a StoreError or is whole', () => {
  const encoded = Buffer.from(encodeManifest(sample()));
  fc.assert(
    fc.property(fc.nat(encoded.length - 33), fc.nat(255), (at, value) => {
      const changed = Buffer.from(encoded);
      changed[at] = value;
      try {
        const manifest = decodeManifest(rehash(changed), 'p', JOB, NAME);
        assert.equal(manifest.rows.length % ROW_BYTES, 0);
        assert.ok([...manifest.packs].every(({ name }) => /^pack-\d+-[0-9a-f]{32}$/.test(name)));
        assert.ok(
          manifest.files.every(({ entry }) => !entry.path.startsWith('/') && !entry.path.split('/').includes('..')),
        );
      } catch (error) {
        assert.match((error as { code: string }).code, /^ERR_STORE_(CORRUPT|VERSION)$/);
      }
    }),
    { numRuns: 2000 },
  );
});

test('a manifest of another job, epoch, sequence or kind is refused', () => {
  const encoded = encodeManifest(sample());
  assert.throws(() => decodeManifest(encoded, 'p', 'other', NAME), { code: 'ERR_STORE_CORRUPT' });
  for (const name of [
    manifestName('checkpoint', 8, 3),
    manifestName('checkpoint', 7, 4),
    manifestName('finished', 7, 3),
  ]) {
    assert.throws(() => decodeManifest(encoded, 'p', JOB, name), { code: 'ERR_STORE_CORRUPT' });
  }
});

test('a newer format is told apart from damage', () => {
  const encoded = Buffer.from(encodeManifest(sample()));
  encoded.writeUInt32LE(2, 8);
  assert.throws(() => decodeManifest(rehash(encoded), 'p', JOB, NAME), { code: 'ERR_STORE_VERSION' });
});

test('recipes come back step by step, and damaged ones fail with a RangeError', () => {
  const steps = fc.oneof(
    fc.record({ kind: fc.constant('inline' as const), bytes: fc.uint8Array({ minLength: 1, maxLength: 30 }) }),
    fc.record({ kind: fc.constant('unit' as const), row: fc.nat(99) }),
    fc.record({ kind: fc.constant('zeros' as const), length: fc.integer({ min: 1, max: 2 ** 30 }) }),
  );
  /** One line per unit and per run of inline bytes or zeros. */
  const describe = (list: readonly Step[]): string[] => {
    const lines: { kind: string; text: string; length: number }[] = [];
    for (const step of list) {
      const last = lines.at(-1);
      const text =
        step.kind === 'inline' ? Buffer.from(step.bytes).toString('hex') : step.kind === 'unit' ? `${step.row}` : '';
      const length = step.kind === 'zeros' ? step.length : 0;
      if (last === undefined || last.kind !== step.kind || step.kind === 'unit')
        lines.push({ kind: step.kind, text, length });
      else {
        last.text += text;
        last.length += length;
      }
    }
    return lines.map((line) => Object.values(line).join(' '));
  };
  fc.assert(
    fc.property(
      fc.array(steps, { maxLength: 40 }),
      fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 3 }),
      (list, damage) => {
        const writer = new RecipeWriter();
        for (const step of list) {
          if (step.kind === 'inline') writer.inline(step.bytes);
          else if (step.kind === 'unit') writer.unit(step.row);
          else writer.zeros(step.length);
        }
        const bytes = Buffer.from(writer.finish());
        const back = [...readRecipe(bytes, 100)];
        assert.deepEqual(describe(back), describe(list));
        for (const [at, value] of damage) if (bytes.length > 0) bytes[at % bytes.length] = value;
        try {
          for (const step of readRecipe(bytes, 100)) assert.ok(step.kind !== 'unit' || step.row < 100);
        } catch (error) {
          assert.ok(error instanceof RangeError);
        }
      },
    ),
    { numRuns: 200 },
  );
});

test('a unit table finds what it holds and nothing else', () => {
  const table = new UnitTable(16);
  const hashes = Array.from({ length: 5000 }, () => randomBytes(32));
  for (const [row, hash] of hashes.entries()) {
    assert.equal(table.append(hash, { pack: 1, offset: row, stored: 2, raw: 0xffffff, codec: 255 }), row);
  }
  for (const [row, hash] of hashes.entries()) assert.equal(table.find(hash), row);
  assert.equal(table.find(randomBytes(32)), -1);
  assert.deepEqual(table.unit(4321), { pack: 1, offset: 4321, stored: 2, raw: 0xffffff, codec: 255 });
});

test('every codec gives the content back, and refuses another length', () => {
  const data = Buffer.from('abcd'.repeat(5000));
  for (const name of ['none', 'deflate-raw', 'brotli'] as const) {
    const packed = compress(codecNamed(name), data);
    assert.ok(name === 'none' || packed.data.length < data.length / 4);
    assert.deepEqual(Buffer.from(decompress(packed.codec, packed.data, data.length)), data);
    assert.throws(() => decompress(packed.codec, packed.data, data.length - 1));
    assert.throws(() => decompress(packed.codec, packed.data, data.length + 1));
  }
  const noise = randomBytes(70_000);
  assert.deepEqual(compress('brotli', noise), { codec: 0, data: noise });
  assert.throws(() => decompress(200, data, data.length), /unknown codec/);
});

test('a sealed object opens in its own place only', () => {
  const key = jobKey(randomBytes(32), JOB);
  const place = { purpose: 'manifest', jobId: JOB, life: 'a', epoch: 3, sequence: 7, name: 'ckpt-7-3' } as const;
  const sealed = Buffer.from(sealObject(key, place, Buffer.from('secret')));
  assert.equal(sealed.includes('secret'), false);
  assert.equal(Buffer.from(openObject(key, place, sealed, 'p')).toString(), 'secret');
  const others = [
    { purpose: 'head' },
    { jobId: 'x' },
    { life: 'b' },
    { epoch: 4 },
    { sequence: 8 },
    { name: 'ckpt-8-3' },
  ] as const;
  for (const other of others) {
    assert.throws(() => openObject(key, { ...place, ...other }, sealed, 'p'), { code: 'ERR_STORE_AUTH', path: 'p' });
  }
  for (let at = 0; at < sealed.length; at++) {
    const changed = Buffer.from(sealed);
    changed[at] = (changed[at] ?? 0) ^ 1;
    assert.throws(() => openObject(key, place, changed, 'p'), { code: 'ERR_STORE_AUTH' });
    assert.throws(() => openObject(key, place, sealed.subarray(0, at), 'p'), { code: 'ERR_STORE_AUTH' });
  }
  assert.throws(() => openObject(jobKey(randomBytes(32), JOB), place, sealed, 'p'), { code: 'ERR_STORE_AUTH' });
});

test('a sealed unit opens at its own offset of its own pack only', () => {
  const key = jobKey(randomBytes(32), JOB);
  const [one, two] = [packName(1), packName(1)];
  const target = Buffer.alloc(200);
  const length = sealUnit(packKey(key, JOB, one), Buffer.from('page'), target, 100);
  assert.equal(length, 4 + TAG_BYTES);
  const sealed = target.subarray(100, 100 + length);
  assert.equal(Buffer.from(openUnit(packKey(key, JOB, one), sealed, 100)).toString(), 'page');
  assert.equal(Buffer.from(openUnit(packKey(key, JOB, packAttempt(one, 2)), sealed, 100)).toString(), 'page');
  assert.throws(() => openUnit(packKey(key, JOB, one), sealed, 101));
  assert.throws(() => openUnit(packKey(key, JOB, two), sealed, 100));
  assert.throws(() => openUnit(packKey(key, 'other', one), sealed, 100));
});

test('job ids make safe names and come back', () => {
  for (const id of [
    'a',
    'schedd@host#12.3#99',
    '../../etc',
    'a/b',
    ' ',
    '\n\0',
    'ü中😀',
    '.hidden',
    '%41',
    'a'.repeat(200),
  ]) {
    const name = jobDirectory(id);
    assert.match(name, /^job-[A-Za-z0-9\-_.!~*'()%]+$/);
    assert.equal(jobIdOf(name), id);
  }
  for (const id of ['', '.', '..', 'ü'.repeat(100), 'a'.repeat(300), '\ud800']) {
    assert.throws(() => jobDirectory(id), { code: 'ERR_STORE_ARGUMENT' });
  }
  for (const name of ['job-%zz', 'job-%41', 'job-', 'run-1', 'job-a/b']) assert.equal(jobIdOf(name), undefined);
});

test('what a fenced incarnation published too late is no part of the history', () => {
  const names = [
    [1, 1],
    [2, 1],
    [3, 1],
    [3, 2],
    [4, 2],
    [4, 1],
    [9, 1],
    [5, 4],
  ].map(([sequence = 0, epoch = 0]) => manifestName('checkpoint', sequence, epoch));
  assert.deepEqual(
    history(names).map(({ sequence, epoch }) => [sequence, epoch]),
    [
      [5, 4],
      [4, 2],
      [3, 2],
      [2, 1],
      [1, 1],
    ],
  );
});
