import assert from 'node:assert/strict';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { ScratchFiles } from '../../lib/job/scratch.ts';
import { formatIndex, parseBaseline, walkTree } from '../../lib/job/tree.ts';
import type { FileEntry } from '../../lib/store/types.ts';

function directory(context: TestContext): string {
  const root = mkdtempSync(join(tmpdir(), 'blcr-scratch-'));
  context.after(() => rmSync(root, { recursive: true, force: true }));
  return root;
}

/** Makes a file as old as it must be to be told from a later one: it was changed more than a tick of the kernel's clock ago. */
const settle = async (): Promise<void> => await delay(60);
const longAgo = (path: string): void => utimesSync(path, 1_000_000, 1_000_000.5);

/** What the engine does, without reflinks: everything that differs from the baseline is copied. */
async function engine(options: {
  root: string;
  into: string;
  baseline?: string;
  extra?: readonly string[];
}): Promise<void> {
  const { files, apart } = parseBaseline(readFileSync(options.baseline ?? '', 'utf8'));
  const baseline = new Map(files.map((file) => [file.path, file]));
  const found = await walkTree(options.root, apart);
  const index = found.map((file) => {
    const before = baseline.get(file.path);
    const copied = before?.mtimeNs !== file.mtimeNs || before.size !== file.size || before.inode !== file.inode;
    if (copied && file.kind === 'directory') mkdirSync(join(options.into, file.path), { recursive: true });
    if (copied && file.kind === 'symlink') symlinkSync('target', join(options.into, file.path));
    if (copied && file.kind === 'file')
      writeFileSync(join(options.into, file.path), readFileSync(join(options.root, file.path)));
    return { ...file, copied };
  });
  writeFileSync(join(options.into, '.index'), formatIndex(index));
  (options.extra ?? []).forEach((path, number) => {
    writeFileSync(join(options.into, `.extra-${number}`), readFileSync(path));
  });
}

const sources = (entries: readonly FileEntry[]): Record<string, boolean> =>
  Object.fromEntries(entries.map(({ path, source }) => [path, source !== undefined]));

test('what was written just now is taken along, however far ahead the node’s clock is of the file system’s', async (context) => {
  const root = directory(context);
  writeFileSync(join(root, 'before'), 'x');
  await settle();
  writeFileSync(join(root, 'now'), 'x');
  const now = Date.now.bind(Date);
  context.mock.method(Date, 'now', () => now() + 3 * 3_600_000);
  const scratch = await ScratchFiles.open(root, 'changed', []);
  scratch.setInputs(await scratch.listInputs());
  const capture = await scratch.prepareCapture();
  assert.ok(capture.options !== undefined);
  await engine(capture.options);
  assert.deepEqual(sources(await capture.entries()), { now: true });
});

test('inputs stay out until they change; what an earlier checkpoint holds is named without content', async (context) => {
  const root = directory(context);
  writeFileSync(join(root, 'input'), 'x');
  await settle();
  const scratch = await ScratchFiles.open(root, 'changed', []);
  scratch.setInputs(await scratch.listInputs());
  writeFileSync(join(root, 'result'), 'one');
  longAgo(join(root, 'result'));

  const first = await scratch.prepareCapture();
  assert.ok(first.options !== undefined);
  await engine(first.options);
  assert.deepEqual(sources(await first.entries()), { result: true });
  await first.commit();
  await first.discard();

  const second = await scratch.prepareCapture();
  assert.ok(second.options !== undefined);
  writeFileSync(join(root, 'input'), 'changed');
  await engine(second.options);
  assert.deepEqual(sources(await second.entries()), { input: true, result: false });
  // Not committed: it was not stored, so the next one must bring the same again.
  await second.discard();
  const third = await scratch.prepareCapture();
  assert.ok(third.options !== undefined);
  await engine(third.options);
  assert.deepEqual(sources(await third.entries()), { input: true, result: false });
  await third.discard();
  await scratch.close();
  assert.deepEqual(readdirSync(join(root, '.blcr')), []);
});

test('inputs that carry the second of their transfer for a date, as HTCondor has it, stay out', async (context) => {
  const root = directory(context);
  const now = Math.floor(Date.now() / 1000);
  for (const name of ['early', 'late']) {
    writeFileSync(join(root, name), name);
    utimesSync(join(root, name), now, now);
    if (name === 'early') await settle();
  }
  const scratch = await ScratchFiles.open(root, 'changed', []);
  scratch.setInputs(await scratch.listInputs());
  const capture = await scratch.prepareCapture();
  assert.ok(capture.options !== undefined);
  await engine(capture.options);
  assert.deepEqual(sources(await capture.entries()), { late: true });
});

test('what a checkpoint brought along is the job’s own, not an input', async (context) => {
  const root = directory(context);
  for (const name of ['input', 'carried']) {
    writeFileSync(join(root, name), name);
  }
  await settle();
  const scratch = await ScratchFiles.open(root, 'changed', []);
  const carried = { path: 'carried', role: 'scratch' } as FileEntry;
  scratch.setInputs(await scratch.listInputs(), [carried]);
  const capture = await scratch.prepareCapture();
  assert.ok(capture.options !== undefined);
  await engine(capture.options);
  assert.deepEqual(sources(await capture.entries()), { carried: true });
});

test('what is the wrapper’s own is no input and in no checkpoint', async (context) => {
  const root = directory(context);
  writeFileSync(join(root, 'job.ticket'), 'secret');
  const files = await ScratchFiles.open(root, 'all', [], [join(root, 'job.ticket')]);
  assert.equal(
    (await files.listInputs()).some(({ path }) => path === 'job.ticket'),
    false,
  );
  assert.equal(
    (await files.finalEntries()).some(({ path }) => path === 'job.ticket'),
    false,
  );
});

test('all files: inputs too', async (context) => {
  const root = directory(context);
  writeFileSync(join(root, 'input'), 'x');
  await settle();
  const scratch = await ScratchFiles.open(root, 'all', []);
  scratch.setInputs(await scratch.listInputs());
  const capture = await scratch.prepareCapture();
  assert.ok(capture.options !== undefined);
  await engine(capture.options);
  assert.deepEqual(sources(await capture.entries()), { input: true });
});

test('the job’s output is captured by its role only, also when it lies in the scratch directory', async (context) => {
  const root = directory(context);
  const out = join(root, 'stdout.txt');
  writeFileSync(out, 'hello');
  const scratch = await ScratchFiles.open(root, 'changed', [{ role: 'stdout', path: out }]);
  assert.deepEqual(await scratch.listInputs(), []);
  const capture = await scratch.prepareCapture();
  assert.ok(capture.options !== undefined);
  assert.deepEqual(capture.options.extra, [out]);
  await engine(capture.options);
  const [entry, ...others] = await capture.entries();
  assert.deepEqual(others, []);
  assert.equal(entry?.role, 'stdout');
  assert.equal(entry?.size, 5);
});

test('no files and no output: nothing to capture', async (context) => {
  const root = directory(context);
  writeFileSync(join(root, 'x'), '');
  const scratch = await ScratchFiles.open(root, 'none', []);
  assert.deepEqual(await scratch.listInputs(), []);
  const capture = await scratch.prepareCapture();
  assert.equal(capture.options, undefined);
  assert.deepEqual(await capture.entries(), []);
});

test('no files, but an output file: that alone', async (context) => {
  const root = directory(context);
  const out = join(root, 'out');
  writeFileSync(out, 'hello');
  const scratch = await ScratchFiles.open(root, 'none', [{ role: 'stderr', path: out }]);
  const capture = await scratch.prepareCapture();
  assert.ok(capture.options !== undefined);
  await engine(capture.options);
  assert.deepEqual(
    (await capture.entries()).map(({ role, path }) => [role, path]),
    [['stderr', 'stderr']],
  );
});

test('the files of a program that has ended are read where they are', async (context) => {
  const root = directory(context);
  writeFileSync(join(root, 'input'), 'x');
  await settle();
  const scratch = await ScratchFiles.open(root, 'changed', []);
  scratch.setInputs(await scratch.listInputs());
  writeFileSync(join(root, 'result'), 'one');
  const entries = await scratch.finalEntries();
  assert.deepEqual(
    entries.map(({ path, source }) => [path, source]),
    [['result', join(root, 'result')]],
  );
});

test('copies of dead incarnations are removed, those of living ones are not', async (context) => {
  const root = directory(context);
  mkdirSync(join(root, '.blcr/run-4194000-x'), { recursive: true });
  mkdirSync(join(root, `.blcr/run-${process.ppid}-x`), { recursive: true });
  await ScratchFiles.open(root, 'changed', []);
  assert.equal(existsSync(join(root, '.blcr/run-4194000-x')), false);
  assert.equal(existsSync(join(root, `.blcr/run-${process.ppid}-x`)), true);
});
