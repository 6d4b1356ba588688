/**
 * What a pool does for its jobs: wraps them unasked, carries their checkpoints itself, sends them only to processors that will do, and adds up
 * their memory.
 */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { freemem } from 'node:os';
import { join } from 'node:path';
import { describe } from 'node:test';
import type { JobEvent } from '../../lib/job/events.ts';
import { CondorJob } from '../support/condor/job.ts';
import { type CondorBench, inPool, ON_EXIT_REMOVE } from './bench.ts';

/** As docs/htcondor.md has it, and a processor of an older kind on one node. */
const EXTRA = 'USER_JOB_WRAPPER = $(LOCAL_DIR)/../wrap-job\nPID_SNAPSHOT_INTERVAL = 1';
const OLD_NODE = 'Microarch = "x86_64-v1"\nSTARTD_ATTRS = $(STARTD_ATTRS) Microarch';
const page = readFileSync(new URL('../../docs/htcondor.md', import.meta.url), 'utf8');
const SCRIPT = /^```wrap-job\n(.*?)^```$/ms.exec(page)?.[1] ?? '';
const COUNT = `#!/bin/sh
i=0
while [ $i -lt $1 ]; do echo step $i; i=$((i+1)); sleep 0.1; done
echo done >result
exit 3
`;
const counted = (steps: number): string => Array.from({ length: steps }, (_, step) => `step ${step}\n`).join('');
const isStored = (event: JobEvent): boolean => event.event === 'checkpoint';
const isResumed = (event: JobEvent): boolean => event.event === 'started' && event.resumedFrom !== undefined;

describe('what a pool does for its jobs', { timeout: 115_000, concurrency: 4 }, () => {
  const scenario = inPool({ slots: 6, extra: EXTRA, nodes: { nodeB: OLD_NODE } }, ({ pool }) => {
    const wrapper = join(pool.directory, 'blcr_wrapper');
    pool.write('wrap-job', SCRIPT.replace('/opt/blcr/bin/blcr_wrapper', wrapper), 0o755);
  });

  /** Jobs as users write them who know nothing of the wrapper. */
  const submitPlain = async (
    bench: CondorBench,
    name: string,
    steps: number,
    lines: readonly string[],
  ): Promise<CondorJob> => {
    bench.pool.makeDirectory(join('jobs', name));
    bench.pool.write(join('jobs', name, 'count'), COUNT, 0o755);
    const description = [
      ...[
        'executable = count',
        `arguments = ${steps}`,
        'should_transfer_files = YES',
        'transfer_output_files = result',
      ],
      ...['output = out', 'error = err', 'log = job.log', ...lines, 'queue', ''],
    ];
    return await CondorJob.submit(bench.pool, name, description.join('\n'));
  };
  const blcr = async (bench: CondorBench, name: string, ...args: readonly string[]): Promise<string> => {
    const cwd = bench.pool.makeDirectory(join('jobs', name));
    bench.pool.write(join('jobs', name, 'count'), COUNT, 0o755);
    const wrapper = ['--wrapper', join(bench.pool.directory, 'blcr_wrapper')];
    return await bench.pool.run(join(bench.pool.directory, 'blcr'), ['submit', ...wrapper, ...args], cwd);
  };

  scenario('wrapped unasked: checkpointed, evicted, resumed elsewhere under another path', async (bench) => {
    const lines = [`+BlcrStore = "${bench.store}"`, '+BlcrEvery = "1s"', `on_exit_remove = ${ON_EXIT_REMOVE}`];
    const job = await submitPlain(bench, 'auto', 60, [...lines, 'job_max_vacate_time = 20']);
    await bench.untilEvent(job, isStored);
    await job.command('condor_vacate_job');
    await job.until('executing', 2);
    await bench.untilEvent(job, isResumed);
    await job.until('terminated');
    assert.equal(job.read('out'), counted(60));
    assert.equal(job.read('err'), '');
    assert.equal(job.read('result'), 'done\n');
    assert.deepEqual(await job.history('ExitCode', 'NumShadowStarts'), ['3', '2']);
  });

  scenario('left alone: not asked for, unfit, on a node that cannot checkpoint; all run as they are', async (bench) => {
    const plain = await submitPlain(bench, 'plain', 2, []);
    const lines = [`+BlcrStore = "${bench.store}"`, '+WantIOProxy = True'];
    const unfit = await submitPlain(bench, 'unfit', 2, lines);
    const fit = [...lines, `on_exit_remove = ${ON_EXIT_REMOVE}`];
    const unable = await submitPlain(bench, 'unable', 2, [
      ...fit,
      'environment = "NODE_BLCR_LIBCR=/nowhere/libcr.so.0"',
    ]);
    for (const job of [plain, unfit, unable]) {
      await job.until('terminated');
      assert.equal(job.read('out'), counted(2));
      assert.equal(job.read('err'), '');
      assert.deepEqual(await job.history('ExitCode'), ['3']);
    }
    assert.match(unfit.read('job.log'), /blcr: this job runs without checkpoints: its on_exit_remove/);
    assert.match(unable.read('job.log'), /blcr: this job runs without checkpoints: .*\/nowhere\/libcr\.so\.0/);
    assert.equal(plain.count('message'), 0);
  });

  scenario(
    '--store condor: carried at every checkpoint and at an eviction, resumed after a kill without warning',
    async (bench) => {
      const text = await blcr(
        bench,
        'carried',
        '--store',
        'condor:',
        '--every',
        '2s',
        '--name',
        'job',
        '--',
        './count',
        '90',
      );
      const job = await CondorJob.submit(bench.pool, 'carried', text);
      await job.untilAttribute('ChirpBlcrCheckpoints', /^[1-9]/);
      await job.command('condor_vacate_job');
      await job.until('executing', 2);
      await job.untilAttribute('ChirpBlcrCheckpoints', /^([3-9]|\d\d)/);
      await job.command('condor_vacate_job', '-fast');
      await job.until('executing', 3);
      await job.until('terminated');
      assert.match(job.read('job.log'), /blcr: resumed from checkpoint ([2-9]|\d\d)/);
      assert.equal(job.read('job.out'), counted(90));
      assert.equal(job.read('result'), 'done\n');
      assert.deepEqual(await job.history('ExitCode', 'NumShadowStarts'), ['3', '3']);
      for (const name of ['.blcr', 'blcr.checkpoint'])
        assert.equal(job.has(name), false, 'checkpoints are not outputs');
      assert.deepEqual(await bench.stored().then((names) => names.filter((name) => name.includes(`_${job.id}_`))), []);
    },
  );

  scenario('a job does not go on where the processor lacks what the first one had', async (bench) => {
    const options = ['--store', bench.store, '--insecure', '--every', '1s', '--name', 'job'];
    const text = await blcr(bench, 'microarch', ...options, '--', './count', '50');
    const first = text.replace('\nqueue', '\nrank = TARGET.NodeName == "nodeA"\nqueue');
    const job = await CondorJob.submit(bench.pool, 'microarch', first);
    await job.until('executing');
    assert.equal(await job.node(), 'nodeA');
    // From now on it would rather be elsewhere.
    await bench.pool.run('condor_qedit', [job.id, 'Rank', 'TARGET.NodeName == "nodeB"']);
    await bench.untilEvent(job, isStored);
    await job.command('condor_vacate_job');
    await job.until('executing', 2);
    assert.equal(await job.node(), 'nodeA');
    await job.until('terminated');
    assert.equal(job.read('job.out'), counted(50));
  });

  scenario('memory: copies only for those that have asked for enough', async (bench) => {
    // All of its memory at once: what a program grows by during a checkpoint nobody can know before.
    const program =
      'my $m = ""; vec($m, 120_000_000, 8) = 1; open F, "</dev/urandom"; sysread F, $m, 10_000_000, $_ * 10_000_000 for 0..11;' +
      '$| = 1; for (1..70) { print "$_\\n"; select undef, undef, undef, 0.1 }';
    const start = async (name: string, megabytes: number): Promise<CondorJob> =>
      await bench.submit(name, {
        arguments: bench.classic('3s', ['/usr/bin/perl', '-e', program]),
        lines: [
          `request_memory = ${megabytes}`,
          'periodic_hold = MemoryUsage > RequestMemory',
          'job_max_vacate_time = 20',
        ],
      });
    const jobs = [await start('tight', 280), await start('wide', 1500)] as const;
    const [tight, wide] = await Promise.all(
      jobs.map(async (job) => {
        const event = await bench.untilEvent(job, isStored);
        await job.until('terminated');
        const [usage = ''] = await job.history('MemoryUsage');
        assert.equal(job.count('held'), 0);
        return { snapshot: event.event === 'checkpoint' ? event.snapshot : '', usage: Number(usage) };
      }),
    );
    // HTCondor rounds what it keeps up to the next quarter of a power of ten.
    assert.equal(tight?.snapshot, 'plain');
    assert.ok((tight?.usage ?? 0) <= 280, `${tight?.usage} MB`);
    // A machine with little memory makes no copies anyway.
    if (freemem() > 2 ** 31) assert.equal(wide?.snapshot, 'fork');
  });
});
