/** `blcr submit`, `blcr advertise` and `blcr gc` with a real pool. */

import assert from 'node:assert/strict';
import { rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { CondorJob } from '../support/condor/job.ts';
import { CondorBench } from './bench.ts';

const PROGRAM = `#!/bin/sh
i=0
while [ $i -lt $1 ]; do echo "$2 $i"; i=$((i+1)); sleep 0.1; done
echo "$2" >result
`;
const output = (steps: number, word: string): string =>
  Array.from({ length: steps }, (_, step) => `${word} ${step}\n`).join('');
const CRON = `\
STARTD_CRON_JOBLIST = BLCR
STARTD_CRON_BLCR_EXECUTABLE = $(LOCAL_DIR)/../probe
STARTD_CRON_BLCR_PERIOD = 2s
STARTD_CRON_BLCR_MODE = Periodic`;

describe('submitting with blcr', { timeout: 115_000, concurrency: 2 }, () => {
  let bench: CondorBench;
  let obstacle: string | undefined;

  before(async () => {
    const started = await CondorBench.start({ nodes: { nodeA: CRON } });
    if (typeof started === 'string') {
      obstacle = started;
      return;
    }
    bench = started;
    // A node whose libcr disappears while the marker is there.
    const { directory } = bench.pool;
    const script = `#!/bin/sh\n[ -e ${directory}/broken ] && export NODE_BLCR_LIBCR=/nonexistent\nexec ${directory}/blcr advertise\n`;
    bench.pool.write('probe', script, 0o755);
  });
  after(async () => {
    if (obstacle === undefined) await bench[Symbol.asyncDispose]();
  });

  const scenario = (name: string, body: () => Promise<void>): void => {
    test(name, async (context) => {
      if (obstacle !== undefined) return context.skip(obstacle);
      await body();
    });
  };

  /** `blcr submit …` as the pool's user, in a directory with the program. */
  const blcr = async (directory: string, ...args: readonly string[]): Promise<string> => {
    const cwd = bench.pool.makeDirectory(join('jobs', directory));
    bench.pool.write(join('jobs', directory, 'program'), PROGRAM, 0o755);
    return await bench.pool.run(join(bench.pool.directory, 'blcr'), args, cwd);
  };
  const submitOptions = (): readonly string[] => [
    ...['submit', '--store', bench.store, '--every', '1s', '--wrapper', join(bench.pool.directory, 'blcr_wrapper')],
  ];

  scenario('a new description: sealed checkpoints, progress in the queue, leaves by itself, goes on', async () => {
    const text = await blcr(
      'new',
      ...submitOptions(),
      '--name',
      'job',
      '--vacate-after',
      '5s',
      '--',
      './program',
      '80',
      'two words',
    );
    const job = await CondorJob.submit(bench.pool, 'new', text);
    assert.equal(statSync(join(job.directory, 'job.key')).mode & 0o777, 0o600);
    await job.until('message');
    assert.match(job.read('job.log'), /blcr: checkpoint 1 \(first\), .* shipped/);
    await job.untilAttribute('ChirpBlcrCheckpoints', /^[1-9]/);
    assert.match(await job.attribute('ChirpBlcrLastCheckpoint'), /^\d{9,}$/);
    assert.match(await job.attribute('ChirpBlcrBytes'), /^[1-9]\d+$/);
    await job.until('executing', 2);
    await job.until('terminated');
    assert.equal(job.read('job.out'), output(80, 'two words'));
    assert.equal(job.read('result'), 'two words\n');
    const [code, starts] = await job.history('ExitCode', 'NumShadowStarts');
    assert.equal(code, '0');
    assert.ok(Number(starts) >= 2);
    assert.match(job.read('job.log'), /blcr: resumed from checkpoint \d+/);
  });

  scenario('a converted description: its queue statement, macros and outputs are the user’s', async () => {
    const source = `executable = program
arguments = $(Steps) $(word)
Steps = 20
should_transfer_files = YES
transfer_output_files = result
transfer_output_remaps = "result = result.$(word)"
output = out.$(word)
log = job.log
queue word from (
  one
  two
)
`;
    bench.pool.makeDirectory('jobs/converted');
    bench.pool.write('jobs/converted/mine.sub', source);
    const text = await blcr('converted', ...submitOptions(), '--convert', 'mine.sub');
    const job = await CondorJob.submit(bench.pool, 'converted', text);
    await job.until('terminated', 2);
    for (const word of ['one', 'two']) {
      assert.equal(job.read(`out.${word}`), output(20, word));
      assert.equal(job.read(`result.${word}`), `${word}\n`);
    }
  });

  scenario('--submit: condor_submit’s own word, and the job is in the queue', async () => {
    const answer = await blcr('at-once', ...submitOptions(), '--insecure', '--submit', '--', './program', '2', 'x');
    assert.match(answer, /^Submitting job\(s\)\.\n1 job\(s\) submitted to cluster \d+\.\n$/);
    await bench.pool.run('condor_wait', ['-wait', '60', join(bench.pool.directory, 'jobs/at-once/program.log')]);
  });

  scenario('a node advertises what it can do, and withdraws it', async () => {
    const { pool } = bench;
    const machines = async (): Promise<string> =>
      await pool.run('condor_status', ['-af', 'NodeName', 'HAS_BLCR', 'BLCR_Engine']);
    await eventually('HAS_BLCR', async () => /^nodeA true userspace$/m.test(await machines()));
    assert.match(await machines(), /^nodeB undefined undefined$/m);
    pool.write('broken', '');
    await eventually('its withdrawal', async () => /^nodeA false none$/m.test(await machines()));
    rmSync(join(pool.directory, 'broken'));
  });

  scenario('gc: dry by default; held jobs stay, those that left go, unknown schedds are left alone', async () => {
    const program = ['/bin/sh', '-c', 'sleep 300'];
    const held = await bench.submit('gc-held', { arguments: bench.classic('1s', program) });
    const removed = await bench.submit('gc-removed', { arguments: bench.classic('1s', program) });
    const idle = await bench.submit('gc-idle', { arguments: bench.classic('1s', program) });
    for (const job of [held, removed, idle]) await bench.untilEvent(job, (event) => event.event === 'checkpoint');
    await held.command('condor_hold');
    await held.until('held');
    // Idle: it runs nowhere, and has checkpoints.
    await bench.pool.run('condor_qedit', [idle.id, 'Requirements', 'False']);
    await idle.command('condor_vacate_job');
    await idle.until('evicted');
    await removed.command('condor_rm');
    await removed.until('aborted');
    const gc = async (...args: readonly string[]): Promise<string> =>
      await blcr('gc', 'gc', '--store', bench.store, ...args);
    const names = async (job: CondorJob): Promise<readonly string[]> =>
      (await bench.stored()).filter((name) => name.includes(`_${job.id}_`));
    await eventually(
      'the end of the removed job',
      async () => /would be removed/.test(await gc()) && /remove /.test(await gc()),
    );
    assert.equal((await names(removed)).length, 1, `${await gc()}\n${await bench.stored()}`);
    assert.match(await gc('--delete'), /^1 removed$/m);
    assert.deepEqual(await names(removed), []);
    assert.equal((await names(held)).length, 1);
    assert.equal((await names(idle)).length, 1);
    for (const job of [held, idle]) await job.command('condor_rm');
    const foreign = await blcr(
      'gc',
      'run',
      '--store',
      bench.store,
      '--id',
      'nobody@nowhere_1.0_17',
      '--first',
      '1s',
      '--vacate-after',
      '3s',
      '--',
      '/bin/sleep',
      '60',
    ).catch((error: { code?: number }) => error.code);
    assert.equal(foreign, 85);
    const answer = await gc('--delete');
    assert.match(answer, /nobody@nowhere_1\.0_17 +keep .*does not answer/);
    assert.equal((await bench.stored()).filter((name) => name.includes('nowhere_1.0_17')).length, 1);
  });
});

async function eventually(what: string, is: () => Promise<boolean>): Promise<void> {
  for (const end = Date.now() + 40_000; Date.now() < end; await sleep(300)) if (await is()) return;
  throw new Error(`no ${what} within 40 s`);
}
