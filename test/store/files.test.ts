import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { claimJob } from '../../lib/store/claim.ts';
import { DirectoryDriver } from '../../lib/store/directory.ts';
import { extractFiles } from '../../lib/store/extract.ts';
import type { FileEntry } from '../../lib/store/types.ts';
import { BACKENDS, bundleWorkers, objects, open, skipReason, temporaryDirectory, write } from './backends.ts';
import { contextStream, randomMemory } from './streams.ts';

bundleWorkers();

const stream = Buffer.concat([...contextStream(randomMemory(300_000))]);

function entryOf(root: string, path: string, extra: Partial<FileEntry> = {}): FileEntry {
  const stat = lstatSync(join(root, path), { bigint: true });
  const kind = stat.isDirectory() ? 'directory' : stat.isSymbolicLink() ? 'symlink' : 'file';
  return {
    path,
    role: 'scratch',
    kind,
    mode: Number(stat.mode),
    size: Number(stat.size),
    mtimeNs: String(stat.mtimeNs),
    inode: Number(stat.ino),
    ...(kind === 'symlink' ? { linkTarget: readlinkSync(join(root, path)) } : {}),
    ...(kind === 'file' ? { source: join(root, path) } : {}),
    ...extra,
  };
}

for (const backend of BACKENDS) {
  const limits = { timeout: 60_000, skip: skipReason(backend.name) };

  test(
    `${backend.name}: files of all kinds come back as they were, unchanged ones by reference`,
    limits,
    async (context) => {
      const { url } = await backend.start(context);
      const root = temporaryDirectory(context);
      const big = randomMemory(1_500_001);
      mkdirSync(join(root, 'sub/deep'), { recursive: true });
      writeFileSync(join(root, 'big'), big);
      writeFileSync(join(root, 'sub/tiny é\n'), 'tiny');
      writeFileSync(join(root, 'empty'), '');
      writeFileSync(join(root, 'sparse'), 'begin');
      truncateSync(join(root, 'sparse'), 300_000_000);
      linkSync(join(root, 'big'), join(root, 'sub/hard'));
      symlinkSync('../big', join(root, 'sub/link'));
      chmodSync(join(root, 'empty'), 0o4751);
      chmodSync(join(root, 'sub/deep'), 0o500);
      const paths = ['big', 'sub', 'sub/deep', 'sub/tiny é\n', 'empty', 'sparse', 'sub/hard', 'sub/link'];
      const output = join(root, 'stdout.txt');
      writeFileSync(output, 'line\n'.repeat(10_000));
      const out: FileEntry = { ...entryOf(root, 'stdout.txt'), path: 'stdout', role: 'stdout' };
      const claim = await (await open(context, url)).claim('job');
      const files = [...paths.map((path) => entryOf(root, path)), out];
      const first = await write(context, claim, stream, { files });
      assert.ok(first.fileBytes > 300_000_000 && first.storedBytes < 5_000_000, `${first.storedBytes}`);

      writeFileSync(join(root, 'sub/tiny é\n'), 'changed');
      const again = files.map(({ source, ...entry }) =>
        entry.path === 'sub/tiny é\n' ? entryOf(root, entry.path) : entry,
      );
      const second = await write(context, claim, stream, { files: again });
      assert.equal(second.storedBytes, 0);

      const target = temporaryDirectory(context);
      writeFileSync(join(target, 'foreign'), 'stays');
      writeFileSync(join(target, 'big'), 'is replaced');
      const stored = await claim.open(2);
      await stored.extractFiles(target);
      assert.ok(readFileSync(join(target, 'big')).equals(big));
      assert.equal(readFileSync(join(target, 'sub/tiny é\n'), 'utf8'), 'changed');
      assert.equal(readFileSync(join(target, 'foreign'), 'utf8'), 'stays');
      const sparse = statSync(join(target, 'sparse'));
      assert.equal(sparse.size, 300_000_000);
      assert.ok(sparse.blocks * 512 < 1_000_000, `${sparse.blocks} blocks`);
      assert.equal(statSync(join(target, 'big')).ino, statSync(join(target, 'sub/hard')).ino);
      assert.equal(readlinkSync(join(target, 'sub/link')), '../big');
      assert.equal(statSync(join(target, 'empty')).mode & 0o7777, 0o751);
      assert.equal(statSync(join(target, 'sub/deep')).mode & 0o7777, 0o500);
      assert.ok(Math.abs(statSync(join(target, 'big')).mtimeMs - statSync(join(root, 'big')).mtimeMs) < 0.01);
      const fd = openSync(join(target, 'out'), 'w');
      assert.equal(await stored.readRole('stdout', fd), true);
      assert.equal(await stored.readRole('stderr', fd), false);
      assert.equal(readFileSync(join(target, 'out'), 'utf8'), 'line\n'.repeat(10_000));
      await stored.verify();
      // A second time over what is there.
      await (await claim.open(1)).extractFiles(target);
      assert.equal(readFileSync(join(target, 'sub/tiny é\n'), 'utf8'), 'tiny');
    },
  );
}

test('files that cannot be stored as announced fail the checkpoint and are named', {
  timeout: 30_000,
}, async (context) => {
  const root = temporaryDirectory(context);
  const store = await open(context, `file://${join(root, 'store')}`);
  const claim = await store.claim('job');
  writeFileSync(join(root, 'file'), 'x'.repeat(10_000));
  execFileSync('mkfifo', [join(root, 'fifo')]);
  const good = entryOf(root, 'file');
  const { source: _, ...unknown } = good;
  const bad: readonly FileEntry[] = [
    { ...good, size: 20_000 },
    { ...good, source: join(root, 'gone') },
    { ...good, source: join(root, 'fifo') },
    { ...good, source: root },
    unknown,
  ];
  for (const entry of bad) {
    await assert.rejects(write(context, claim, stream, { files: [entry] }), { code: 'ERR_STORE_FILE', path: 'file' });
  }
  assert.deepEqual(objects(join(root, 'store'), 'ckpt-'), []);
  assert.deepEqual(objects(join(root, 'store'), 'pack-'), []);
});

test('files that are carried along do not keep sparse packs alive', { timeout: 60_000 }, async (context) => {
  const root = temporaryDirectory(context);
  const scratch = temporaryDirectory(context);
  const claim = await claimJob(
    { driver: new DirectoryDriver(`file://${root}`), key: undefined, codec: 'none' },
    'job',
    {},
  );
  const names = Array.from({ length: 10 }, (_, index) => `file${index}`);
  for (const name of names) writeFileSync(join(scratch, name), randomMemory(1_000_000));
  await write(context, claim, stream, { files: names.map((name) => entryOf(scratch, name)) });
  // All but one file change; the one is never read again.
  for (let turn = 0; turn < 4; turn++) {
    for (const name of names.slice(1)) writeFileSync(join(scratch, name), randomMemory(1_000_000));
    const files = names.map((name, index) => {
      const { source, ...entry } = entryOf(scratch, name);
      return index === 0 || source === undefined ? entry : { ...entry, source };
    });
    await write(context, claim, stream, { files });
    await claim.retain(1);
  }
  const bytes = objects(root, 'pack-').reduce((sum, path) => sum + statSync(path).size, 0);
  assert.ok(bytes < 13_000_000, `${bytes} bytes for 10 MB of files`);
  const target = temporaryDirectory(context);
  await (await claim.open(5)).extractFiles(target);
  for (const name of names) assert.ok(readFileSync(join(target, name)).equals(readFileSync(join(scratch, name))), name);
});

const FILE = { role: 'scratch', kind: 'file', mode: 0o600, size: 0, mtimeNs: '0', inode: 0 } as const;
const LINK = { ...FILE, kind: 'symlink', linkTarget: '/etc' } as const;
const DIRECTORY = { ...FILE, kind: 'directory' } as const;
for (const [what, entries] of [
  ['a path upwards', [{ ...FILE, path: '../escaped' }]],
  ['an absolute path', [{ ...FILE, path: '/tmp/escaped' }]],
  [
    'a file below a link',
    [
      { ...LINK, path: 'a' },
      { ...FILE, path: 'a/b' },
    ],
  ],
  [
    'a directory below a link',
    [
      { ...LINK, path: 'a' },
      { ...DIRECTORY, path: 'a/b' },
    ],
  ],
  [
    'a path twice',
    [
      { ...LINK, path: 'a' },
      { ...FILE, path: 'a' },
    ],
  ],
] as const) {
  test(`${what} in a stored list is refused before anything is laid out`, async (context) => {
    const target = temporaryDirectory(context);
    const files = [{ ...FILE, path: '0' }, ...entries].map((entry) => ({ entry, recipe: new Uint8Array() }));
    const copy = async (_: Uint8Array, path: string): Promise<void> => writeFileSync(path, '');
    await assert.rejects(extractFiles(files, target, copy, undefined), { code: 'ERR_STORE_FILE' });
    assert.equal(existsSync(join(target, '0')), false);
  });
}

test('a link that is in the way does not lead the files elsewhere', async (context) => {
  const target = temporaryDirectory(context);
  const outside = temporaryDirectory(context);
  symlinkSync(outside, join(target, 'sub'));
  symlinkSync(join(outside, 'file'), join(target, 'file'));
  const files = ['sub/file', 'file'].map((path) => ({ entry: { ...FILE, path }, recipe: new Uint8Array() }));
  const copy = async (_: Uint8Array, path: string): Promise<void> => writeFileSync(path, 'content', { flag: 'wx' });
  await extractFiles(files, target, copy, undefined);
  assert.equal(readFileSync(join(target, 'sub/file'), 'utf8'), 'content');
  assert.deepEqual(existsSync(join(outside, 'file')), false);
});
