import assert from 'node:assert/strict';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { JobStdio } from '../../lib/job/stdio.ts';
import type { FileEntry, StoredCheckpoint } from '../../lib/store/types.ts';

function directory(context: TestContext): string {
  const root = mkdtempSync(join(tmpdir(), 'blcr-stdio-'));
  context.after(() => rmSync(root, { recursive: true, force: true }));
  return root;
}

/** A checkpoint that recorded this content of stdout. */
function recorded(content: string): StoredCheckpoint {
  const file = { path: 'stdout', role: 'stdout', kind: 'file', size: content.length } as FileEntry;
  return {
    files: [file],
    readRole: async (_role: string, fd: number) => writeSync(fd, content) >= 0,
  } as unknown as StoredCheckpoint;
}

const open = (fd: number): JobStdio => new JobStdio(['ignore', fd, 'ignore']);

test('pipes, terminals and devices are nobody’s state', () => {
  using stdio = new JobStdio(['ignore', 'ignore', 'ignore']);
  assert.deepEqual(stdio.outputs, []);
  assert.deepEqual(stdio.facts(), {});
});

test('the same file, opened to append: cut to what it was', async (context) => {
  const path = join(directory(context), 'out');
  const first = openSync(path, 'a');
  using before = open(first);
  writeSync(first, 'kept\n');
  const facts = before.facts();
  writeSync(first, 'lost\n');
  closeSync(first);
  const second = openSync(path, 'a');
  using after = open(second);
  await after.layOut(recorded('kept\n'), facts, directory(context));
  writeSync(second, 'more\n');
  assert.equal(readFileSync(path, 'utf8'), 'kept\nmore\n');
  assert.equal(after.facts()['stdoutStart'], 0);
});

test('another file: the recorded output is written, and the program goes on behind it', async (context) => {
  const root = directory(context);
  const first = openSync(join(root, 'one'), 'w');
  using before = open(first);
  const second = openSync(join(root, 'two'), 'w');
  using after = open(second);
  await after.layOut(recorded('kept\n'), before.facts(), root);
  writeSync(second, 'more\n');
  assert.equal(readFileSync(join(root, 'two'), 'utf8'), 'kept\nmore\n');
});

test('what others wrote before the job stays theirs', async (context) => {
  const root = directory(context);
  const first = openSync(join(root, 'one'), 'w');
  writeSync(first, 'first header\n');
  using before = open(first);
  const second = openSync(join(root, 'two'), 'w');
  writeSync(second, 'second\n');
  using after = open(second);
  await after.layOut(recorded('first header\nkept\n'), before.facts(), root);
  writeSync(second, 'more\n');
  assert.equal(readFileSync(join(root, 'two'), 'utf8'), 'second\nkept\nmore\n');
  assert.equal(after.facts()['stdoutStart'], 7);
});

test('the same file, emptied by the shell that opened it again', async (context) => {
  const root = directory(context);
  const path = join(root, 'out');
  const first = openSync(path, 'w');
  using before = open(first);
  writeSync(first, 'kept\nlost\n');
  const second = openSync(path, 'w');
  using after = open(second);
  await after.layOut(recorded('kept\n'), before.facts(), root);
  writeSync(second, 'more\n');
  assert.equal(readFileSync(path, 'utf8'), 'kept\nmore\n');
});

test('the same file, shorter than it was: written again, nothing twice', async (context) => {
  const root = directory(context);
  const path = join(root, 'out');
  const first = openSync(path, 'a');
  using before = open(first);
  writeSync(first, 'kep');
  const second = openSync(path, 'a');
  using after = open(second);
  await after.layOut(recorded('kept\n'), before.facts(), root);
  assert.equal(readFileSync(path, 'utf8'), 'kept\n');
});

test('one file as stdout and stderr is one output', (context) => {
  const fd = openSync(join(directory(context), 'out'), 'a');
  using stdio = new JobStdio(['ignore', fd, fd]);
  assert.deepEqual(
    stdio.outputs.map(({ role }) => role),
    ['stdout'],
  );
});

test('a file without a name is a limitation, not a checkpoint that lies', (context) => {
  const path = join(directory(context), 'out');
  writeFileSync(path, '');
  const fd = openSync(path, 'a');
  rmSync(path);
  using stdio = new JobStdio(['ignore', fd, 'ignore']);
  assert.deepEqual(stdio.outputs, []);
  assert.match(stdio.limitations[0] ?? '', /stdout/);
});

test('a file that this user may not read is a limitation, too', (context) => {
  const path = join(directory(context), 'out');
  const fd = openSync(path, 'a', 0o200);
  const isRoot = process.geteuid?.() === 0;
  if (isRoot) process.seteuid?.(1000);
  try {
    using stdio = new JobStdio(['ignore', fd, 'ignore']);
    assert.deepEqual(stdio.outputs, []);
    assert.deepEqual(stdio.unreadable, [path]);
    assert.match(stdio.limitations[0] ?? '', /^stdout is a file that this user may not read/);
  } finally {
    if (isRoot) process.seteuid?.(0);
    closeSync(fd);
  }
});
