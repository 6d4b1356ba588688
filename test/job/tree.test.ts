import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatBaseline, formatIndex, parseBaseline, parseIndex, type TreeFile, walkTree } from '../../lib/job/tree.ts';

const entry = fc.record<TreeFile>(
  {
    kind: fc.constantFrom('file', 'directory', 'symlink'),
    copied: fc.boolean(),
    mode: fc.integer({ min: 0, max: 0o7777 }),
    size: fc.nat(),
    mtimeNs: fc.bigInt({ min: -(2n ** 62n), max: 2n ** 62n }).map(String),
    inode: fc.maxSafeNat(),
    // Lone surrogates are no UTF-8, and no file name can hold a zero byte.
    path: fc.string({ unit: 'grapheme', minLength: 1 }).filter((path) => !path.includes('\0')),
  },
  { noNullPrototype: true },
);

test('an index comes back as it was', () => {
  fc.assert(fc.property(fc.array(entry), (files) => assert.deepEqual(parseIndex(formatIndex(files)), files)));
});

test('so does a baseline, with what it leaves out', () => {
  const path = fc.string({ unit: 'grapheme', minLength: 1 }).filter((name) => !name.includes('\0'));
  fc.assert(
    fc.property(fc.array(entry), fc.array(path), (files, apart) =>
      assert.deepEqual(parseBaseline(formatBaseline(files, apart)), { files, apart }),
    ),
  );
});

test('every line is ASCII without blanks in its path', () => {
  fc.assert(fc.property(entry, (file) => assert.match(formatIndex([file]), /^[\x21-\x7e\t]+\n$/)));
});

test('lines of another shape are refused', () => {
  const good = 'f\t1\t644\t5\t17\t99\tname';
  assert.equal(parseIndex(good).length, 1);
  for (const bad of [
    '',
    'x',
    good.replace('f', 'p'),
    good.replace('5', '-5'),
    good.replace('644', '9'),
    'f\t1\t644\t5\t17\t99',
  ]) {
    if (bad === '') continue;
    assert.throws(() => parseIndex(bad), { code: 'ERR_JOB_INDEX' }, bad);
  }
  assert.throws(() => parseIndex('f\t1\t644\t5\t17\t99\t%ff%fe'), { code: 'ERR_JOB_INDEX', message: /not UTF-8/ });
});

test('a walk lists files, directories and links, without what is excluded', async (context) => {
  const root = mkdtempSync(join(tmpdir(), 'blcr-tree-'));
  context.after(() => rmSync(root, { recursive: true }));
  mkdirSync(join(root, 'a/b'), { recursive: true });
  mkdirSync(join(root, '.blcr'));
  mkdirSync(join(root, 'a/.blcr'));
  mkdirSync(join(root, 'a/apart/deep'), { recursive: true });
  writeFileSync(join(root, 'a/b/file'), '12345');
  writeFileSync(join(root, '.blcr/own'), '');
  symlinkSync('b', join(root, 'a/link'));
  const found = await walkTree(root, ['.blcr', 'a/apart']);
  assert.deepEqual(
    found.map(({ kind, path }) => `${kind} ${path}`).sort(),
    ['directory a', 'directory a/.blcr', 'directory a/b', 'file a/b/file', 'symlink a/link'].sort(),
  );
  assert.equal(found.find(({ path }) => path === 'a/b/file')?.size, 5);
  assert.deepEqual(await walkTree(join(root, 'nowhere'), []), []);
});
