import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { ScratchFiles } from '../../lib/job/scratch.ts';

function directory(context: TestContext): string {
  const root = mkdtempSync(join(tmpdir(), 'blcr-owner-'));
  context.after(() => rmSync(root, { recursive: true, force: true }));
  return root;
}

type Files = 'changed' | 'none';
const open = (root: string, id: string, files: Files = 'changed'): Promise<ScratchFiles> =>
  ScratchFiles.open(root, files, [], [], id);

/** A directory of an incarnation as job `a` leaves one, its note changed. @returns its path */
async function leftBy(root: string, change: object): Promise<string> {
  const scratch = await open(root, 'a');
  const note = JSON.parse(readFileSync(join(scratch.own, 'owner.json'), 'utf8')) as object;
  await scratch.close();
  const left = join(root, '.blcr', 'run-1-left');
  mkdirSync(left, { recursive: true });
  writeFileSync(join(left, 'owner.json'), JSON.stringify({ ...note, ...change }));
  return left;
}

test('a directory in which another job runs is refused before anything changes', async (context) => {
  const root = directory(context);
  const first = await open(root, 'a');
  const before = readdirSync(join(root, '.blcr'));
  for (const files of ['changed', 'none'] as const)
    await assert.rejects(open(root, 'b', files), { code: 'ERR_JOB_SHARED', message: /belongs to the job a, .* \d+\)/ });
  assert.deepEqual(readdirSync(join(root, '.blcr')), before);
  await first.close();
  await (await open(root, 'b')).close();
});

test('so is one in the directory of a running job, and one in which a job runs further down', async (context) => {
  const root = directory(context);
  const inner = join(root, 'a/b');
  mkdirSync(inner, { recursive: true });
  const outer = await open(root, 'outer');
  await assert.rejects(open(inner, 'inner'), { code: 'ERR_JOB_SHARED', message: /lies in .* the job outer, / });
  await assert.rejects(open(inner, 'inner', 'none'), { code: 'ERR_JOB_SHARED' });
  await outer.close();
  const first = await open(inner, 'inner');
  const second = await open(root, 'outer');
  await assert.rejects(second.listInputs(), { code: 'ERR_JOB_SHARED', message: /a\/b, below .* the job inner, / });
  await second.close();
  await first.close();
  const third = await open(root, 'outer');
  assert.ok((await third.listInputs()).some(({ path }) => path === 'a/b'));
  await third.close();
});

test('jobs that put no files back, and incarnations of one job, may share it', async (context) => {
  const root = directory(context);
  const sharing = [await open(root, 'a', 'none'), await open(root, 'b', 'none'), await open(root, 'a', 'none')];
  await assert.rejects(open(root, 'c', 'changed'), { code: 'ERR_JOB_SHARED' });
  for (const scratch of sharing) await scratch.close();
});

test('what jobs left that have ended is removed, also when their numbers are used again', async (context) => {
  const root = directory(context);
  const { pid } = spawnSync('true');
  for (const change of [{ pid }, { started: '1' }, { realm: 'another-boot pid:[1]' }]) {
    const left = await leftBy(root, change);
    const scratch = await open(root, 'b');
    assert.deepEqual([existsSync(left), scratch.sharedWith], [false, []], JSON.stringify(change));
    await scratch.close();
  }
});

test('a job of another host is told of and left alone', async (context) => {
  const root = directory(context);
  const left = await leftBy(root, { host: 'elsewhere' });
  const scratch = await open(root, 'b');
  assert.deepEqual([existsSync(left), scratch.sharedWith], [true, ['a']]);
  await scratch.close();
});
