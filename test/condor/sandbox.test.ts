/** The ads of a sandbox, as HTCondor writes them. */

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Ad } from '../../lib/condor/ad.ts';
import { isSandboxFile, readCondorJob, sandboxHome } from '../../lib/condor/sandbox.ts';

function environment(context: TestContext, job: string, machine = ''): NodeJS.ProcessEnv {
  const directory = mkdtempSync(join(tmpdir(), 'condor-ads-'));
  context.after(() => rmSync(directory, { recursive: true }));
  writeFileSync(join(directory, '.job.ad'), job);
  writeFileSync(join(directory, '.machine.ad'), machine);
  return { _CONDOR_JOB_AD: join(directory, '.job.ad'), _CONDOR_MACHINE_AD: join(directory, '.machine.ad') };
}

test('values of an ad', () => {
  const ad = new Ad('A = 10 * 60\nb = "x \\"y\\" \\\\z"\nC = true\nD = ifThenElse(A, 1, 2)\nnonsense\nE=7\n');
  assert.equal(ad.integer('a'), 600);
  assert.equal(ad.text('B'), 'x "y" \\z');
  assert.equal(ad.boolean('c'), true);
  assert.equal(ad.integer('D'), undefined);
  assert.equal(ad.text('D'), undefined);
  assert.equal(ad.integer('E'), 7);
  assert.equal(Ad.read('/nonexistent').isEmpty, true);
});

test('no job outside of HTCondor', () => {
  assert.equal(readCondorJob({}), undefined);
  assert.equal(readCondorJob({ _CONDOR_JOB_AD: '/nonexistent' }), undefined);
});

test('the facts of a job', (context) => {
  const env = environment(
    context,
    'GlobalJobId = "alice@host#15.0#17"\nJobRunCount = 3\nNumJobStarts = 2\nJobMaxVacateTime = 20\nRequestMemory = 64\n',
    'MachineMaxVacateTime = 10 * 60\n',
  );
  assert.deepEqual(readCondorJob(env), {
    globalJobId: 'alice@host#15.0#17',
    runCount: 3,
    startCount: 2,
    vacateSignal: 'SIGTERM',
    vacateMs: 20_000,
    memoryLimits: [64 << 20],
    checkpointExitCode: undefined,
    checkpointFiles: [],
  });
});

test('the signal of an eviction: name, number, and the one for removing, which replaces it', (context) => {
  const signalOf = (job: string): string | undefined => readCondorJob(environment(context, job))?.vacateSignal;
  assert.equal(signalOf('KillSig = "SIGUSR1"\n'), 'SIGUSR1');
  assert.equal(signalOf('KillSig = "usr1"\n'), 'SIGUSR1');
  assert.equal(signalOf('KillSig = "10"\n'), 'SIGUSR1');
  assert.equal(signalOf('KillSig = 10\n'), 'SIGUSR1');
  assert.equal(signalOf('KillSig = "SIGUSR1"\nRemoveKillSig = "SIGINT"\n'), 'SIGINT');
  assert.equal(signalOf('KillSig = "nonsense"\n'), 'SIGTERM');
});

test('what is HTCondor’s own in a sandbox', () => {
  for (const name of ['.job.ad', '.machine.ad', '.update.ad', '.chirp.config', '_condor_stdout'])
    assert.equal(isSandboxFile(name), true, name);
  for (const name of ['state', '.hidden', 'job.ad', 'results/.job.ad', '.job.ad.old'])
    assert.equal(isSandboxFile(name), false, name);
});

test('where a node keeps its sandboxes', () => {
  assert.equal(sandboxHome('/var/lib/condor/execute/dir_4711'), '/var/lib/condor/execute');
  assert.equal(sandboxHome('/var/lib/condor/execute/dir_4711/scratch'), '/var/lib/condor/execute');
  assert.equal(sandboxHome('/home/alice/work'), undefined);
  assert.equal(sandboxHome('/dir_1'), undefined);
});
