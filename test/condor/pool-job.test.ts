/** Which jobs a pool's own wrapper takes, from their ads; and when a copy of a program would be too much for a job's memory. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { CarriedStore } from '../../lib/cli/carried-store.ts';
import { judgePoolJob } from '../../lib/condor/pool-job.ts';
import { type MemoryPlan, planMemory, type Snapshot } from '../../lib/job/memory-limit.ts';

const SANDBOX = '/pool/execute/dir_7';
const AD: Readonly<Record<string, string>> = {
  Cmd: '"/home/alice/simulate"',
  GlobalJobId: '"alice@host#15.0#17"',
  JobUniverse: '5',
  BlcrStore: '"chirp://host/"',
  BlcrEvery: '"30m"',
  OnExitRemove: 'ExitCode =!= 85 && ExitCode =!= 75',
};

function environment(context: TestContext, ad: Readonly<Record<string, string>>): NodeJS.ProcessEnv {
  const directory = mkdtempSync(join(tmpdir(), 'condor-pool-job-'));
  context.after(() => rmSync(directory, { recursive: true }));
  const path = join(directory, '.job.ad');
  const lines = Object.entries(ad).map(([name, value]) => `${name} = ${value}\n`);
  writeFileSync(path, lines.join(''));
  return { _CONDOR_JOB_AD: path, _CONDOR_SCRATCH_DIR: SANDBOX };
}

test('a job that asks for it in its ad, by the name that its program has in every sandbox', (context) => {
  const env = environment(context, { ...AD, JobRunCount: '2' });
  assert.deepEqual(judgePoolJob(`${SANDBOX}/simulate`, env), {
    ...{ wrap: true, store: 'chirp://host/', id: 'alice@host#15.0#17', every: '30m', isLater: true },
    program: './simulate',
  });
});

test('any job where the pool has a store for all', (context) => {
  const { BlcrStore: _, BlcrEvery: __, ...plain } = AD;
  const env = { ...environment(context, { ...plain, Cmd: '"/bin/app"' }), BLCR_STORE: 'file:///shared' };
  assert.deepEqual(judgePoolJob('/bin/app', env), {
    ...{ wrap: true, store: 'file:///shared', id: 'alice@host#15.0#17', every: undefined, isLater: false },
    program: '/bin/app',
  });
});

test('jobs that are left alone, and why', (context) => {
  const cases: readonly (readonly [Readonly<Record<string, string>>, RegExp | undefined])[] = [
    [{ BlcrStore: 'undefined' }, undefined],
    [{ BlcrStore: '""' }, undefined],
    [{ GlobalJobId: 'undefined' }, /GlobalJobId/],
    [{ JobUniverse: '7' }, /vanilla/],
    [{ Cmd: '"/opt/blcr_wrapper"' }, /already/],
    [{ Cmd: '"/home/alice/other"' }, /not the job's executable/],
    [{ InteractiveJob: 'true' }, /interactive/],
    [{ WantContainer: 'true' }, /container/],
    [{ SuccessCheckpointExitCode: '85' }, /of its own/],
    [{ OnExitRemove: 'true' }, /on_exit_remove/],
    [{ OnExitRemove: 'ExitCode =!= 85' }, /on_exit_remove/],
  ];
  for (const [change, expected] of cases) {
    const verdict = judgePoolJob(`${SANDBOX}/simulate`, environment(context, { ...AD, ...change }));
    assert.equal(verdict.wrap, false, JSON.stringify(change));
    const reason = verdict.wrap ? '' : verdict.reason;
    if (expected === undefined) assert.equal(reason, undefined);
    else assert.match(reason ?? '', expected);
  }
});

test('checkpoints are carried only where the submit file says so', (context) => {
  const carried = { SuccessCheckpointExitCode: '85', TransferCheckpoint: '"more, blcr.checkpoint"' };
  assert.equal(new CarriedStore(environment(context, carried), 85).url, `file://${SANDBOX}/.blcr/store`);
  const wrong = [
    [{ ...carried, SuccessCheckpointExitCode: '86' }, /checkpoint_exit_code = 85/],
    [{ ...carried, TransferCheckpoint: '"more"' }, /transfer_checkpoint_files has to name blcr\.checkpoint/],
  ] as const;
  for (const [ad, expected] of wrong) assert.throws(() => new CarriedStore(environment(context, ad), 85), expected);
  assert.throws(() => new CarriedStore({}, 85), /jobs of HTCondor/);
});

test('checkpoints that cannot be carried are told with a code', async (context) => {
  const carried = { SuccessCheckpointExitCode: '85', TransferCheckpoint: '"blcr.checkpoint"' };
  const scratch = mkdtempSync(join(tmpdir(), 'condor-carried-'));
  context.after(() => rmSync(scratch, { recursive: true }));
  mkdirSync(join(scratch, '.blcr/store'), { recursive: true });
  writeFileSync(join(scratch, '.blcr/store/pack'), 'bytes');
  mkdirSync(join(scratch, 'blcr.checkpoint.tmp/in-the-way'), { recursive: true });
  const store = new CarriedStore({ ...environment(context, carried), _CONDOR_SCRATCH_DIR: scratch }, 85);
  const codes: string[] = [];
  assert.equal(await store.pack(({ code }) => codes.push(code)), false);
  assert.deepEqual(codes, ['ERR_JOB_CARRY']);
  rmSync(join(scratch, 'blcr.checkpoint.tmp'), { recursive: true });
  assert.equal(await store.pack(({ code }) => codes.push(code)), true);
  assert.equal(codes.length, 1);
  assert.ok(existsSync(join(scratch, 'blcr.checkpoint')));
});

test('a copy too many for the memory that the job has asked for', (context) => {
  const megabytes = Number(readFileSync('/proc/self/statm', 'latin1').split(' ')[1]) / 256;
  using program = spawn('/bin/sleep', ['60']);
  const plan = (ad: Readonly<Record<string, number>>, asked: Snapshot = 'auto'): MemoryPlan =>
    planMemory(
      environment(
        context,
        Object.fromEntries(Object.entries(ad).map(([name, value]) => [name, String(Math.ceil(value))])),
      ),
      asked,
    );
  const unlimited = { snapshot: 'auto', bufferBytes: undefined, isOver: undefined };
  assert.deepEqual(planMemory({}, 'auto'), unlimited);
  assert.deepEqual(plan({ RequestMemory: megabytes / 2 }), unlimited, 'it is over it without a copy');
  const wide = plan({ RequestMemory: megabytes / 2, MemoryProvisioned: megabytes * 3 });
  assert.equal(wide.snapshot, 'auto');
  const buffer = (wide.bufferBytes ?? 0) / 1024 / 1024;
  assert.ok(buffer > megabytes / 2 && buffer < megabytes * 1.1, `${buffer} of ${megabytes}`);
  assert.ok(program.pid !== undefined);
  assert.equal(wide.isOver?.(), false);
  const narrow = plan({ RequestMemory: megabytes + 64 });
  const grown = Buffer.alloc(256 * 1024 * 1024, 1);
  assert.equal(narrow.isOver?.(), true, `${grown.length} bytes more`);
  assert.equal(plan({ RequestMemory: megabytes * 9 }, 'fork').isOver, undefined, 'what was asked for is done');
});
