/** What else happens to a job in a pool: held, removed, suspended, failing, ending while it is evicted, taken over, submitted again. */

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { JobEvent } from '../../lib/job/events.ts';
import type { CondorJob } from '../support/condor/job.ts';
import { NODES } from '../support/condor/pool.ts';
import { CondorBench } from './bench.ts';

const counting = (steps: number): readonly string[] => [
  '/bin/sh',
  '-c',
  `i=0; while [ $i -lt ${steps} ]; do echo step $i; i=$((i+1)); sleep 0.1; done`,
];
const counted = (steps: number): string => Array.from({ length: steps }, (_, step) => `step ${step}\n`).join('');
const isStored = (event: JobEvent): boolean => event.event === 'checkpoint';

/** Nothing stays on a node: no sandbox, and no process of any job, however it ended. */
async function untilEmpty({ pool }: CondorBench): Promise<void> {
  const sandboxes = (): readonly string[] =>
    NODES.flatMap((node) => readdirSync(join(pool.directory, node, 'execute')));
  const keepers = (): readonly number[] => pool.processes().filter((pid) => nameOf(pid) === 'blcr-keeper');
  for (const end = Date.now() + 10_000; Date.now() < end && sandboxes().length + keepers().length > 0; )
    await sleep(100);
  assert.deepEqual(sandboxes(), []);
  assert.deepEqual(keepers(), []);
}

function nameOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'latin1').trim();
  } catch {
    return ''; // it has ended
  }
}

describe('lives of a job in a pool', { timeout: 115_000, concurrency: 3 }, () => {
  let bench: CondorBench;
  let obstacle: string | undefined;

  before(async () => {
    const started = await CondorBench.start({ slots: 3 });
    if (typeof started === 'string') obstacle = started;
    else bench = started;
  });
  after(async () => {
    if (obstacle !== undefined) return;
    await using _all = bench;
    await untilEmpty(bench);
  });

  const life = (name: string, body: () => Promise<void>): void => {
    test(name, async (context) => {
      if (obstacle !== undefined) return context.skip(obstacle);
      await body();
    });
  };

  const submit = async (
    name: string,
    program: readonly string[],
    lines: readonly string[] = [],
    id?: string,
  ): Promise<CondorJob> => await bench.submit(name, { arguments: bench.classic('1s', program, id), lines });

  life('held and released: goes on from the checkpoint taken when it was held', async () => {
    const job = await submit('held', counting(50));
    await bench.untilEvent(job, isStored);
    await job.command('condor_hold');
    await job.until('held');
    await job.command('condor_release');
    await job.until('executing', 2);
    const started = await bench.untilEvent(job, (event) => event.event === 'started');
    assert.ok(started.event === 'started' && started.resumedFrom !== undefined);
    await job.until('terminated');
    assert.equal(job.read('out'), counted(50));
    assert.equal(job.read('err'), '');
  });

  life('removed: no last checkpoint, nothing left on the node; the same id goes on in a new cluster', async () => {
    const id = 'resubmitted';
    const job = await submit('removed', counting(60), [], id);
    await bench.untilStored(id);
    await job.command('condor_rm');
    await job.until('aborted');
    const newest = await bench.newestReason(id);
    assert.notEqual(newest, 'vacate');
    const again = await submit('again', counting(60), [], id);
    await again.until('terminated');
    assert.equal(again.read('out'), counted(60));
    const [starts] = await again.history('NumShadowStarts');
    assert.equal(starts, '1');
    assert.equal((await bench.stored()).includes(id), false);
  });

  life('suspended and continued: nothing is lost, checkpoints go on', async () => {
    const job = await submit('suspended', counting(40));
    await bench.untilEvent(job, isStored);
    await job.command('condor_suspend');
    await job.until('suspended');
    await sleep(1500);
    await job.command('condor_continue');
    await job.until('continued');
    await job.until('terminated');
    assert.equal(job.read('out'), counted(40));
    assert.deepEqual(await job.history('ExitCode', 'NumShadowStarts'), ['0', '1']);
  });

  life('ends by itself while it is evicted: delivered by the next run, not run twice', async () => {
    // A connection to another machine cannot be checkpointed, so the eviction finds nothing to do but to wait.
    const runs = bench.pool.write('runs', '');
    const script = `exec 3<>/dev/tcp/${bench.chirp.host}/${bench.chirp.port}; echo run >>${runs}; echo begun; sleep 6; echo done >result; echo done; exit 7`;
    const job = await bench.submit('grace', {
      arguments: bench.classic('1s', ['/bin/bash', '-c', script]),
      outputs: ['result'],
    });
    await bench.untilEvent(job, (event) => event.event === 'warning');
    await job.command('condor_vacate_job');
    await job.until('evicted');
    await job.until('terminated');
    assert.equal(readFileSync(runs, 'utf8'), 'run\n');
    assert.equal(job.read('out'), 'begun\ndone\n');
    assert.equal(job.read('result'), 'done\n');
    assert.deepEqual(await job.history('ExitCode', 'NumShadowStarts'), ['7', '2']);
  });

  life('fails, dies of a signal, exits with the number for running again', async () => {
    const cases = [
      ['exit 3', 'false', '3'],
      ['kill -SEGV $$', 'true', '11'],
      ['exit 85', 'false', '87'],
    ] as const;
    for (const [index, [script, bySignal, number]] of cases.entries()) {
      const job = await submit(`status-${index}`, ['/bin/sh', '-c', script]);
      await job.until('terminated');
      const found = await job.history('ExitBySignal', bySignal === 'true' ? 'ExitSignal' : 'ExitCode');
      assert.deepEqual(found, [bySignal, number], script);
    }
  });

  life(
    'the signal of the submit file evicts; the starter’s death costs the time since the last checkpoint',
    async () => {
      const job = await submit('kill-sig', counting(70), ['kill_sig = SIGUSR1']);
      await bench.untilEvent(job, isStored);
      await job.command('condor_vacate_job');
      await job.until('executing', 2);
      const second = await bench.untilEvent(job, (event) => event.event === 'started');
      assert.ok(second.event === 'started' && second.resumedFrom !== undefined);
      await bench.untilEvent(job, isStored);
      process.kill(await bench.starterOf(job), 'SIGKILL');
      await job.until('executing', 3);
      await job.until('terminated');
      assert.equal(job.read('out'), counted(70));
    },
  );

  life('two at once under one id: the older one stops with 88', async () => {
    const older = await submit('older', counting(90), [], 'twins');
    await bench.untilStored('twins');
    const newer = await submit('newer', counting(90), [], 'twins');
    await older.until('terminated');
    assert.deepEqual(await older.history('ExitCode'), ['88']);
    await newer.until('terminated');
    assert.deepEqual(await newer.history('ExitCode'), ['0']);
    assert.equal(newer.read('out'), counted(90));
  });
});
