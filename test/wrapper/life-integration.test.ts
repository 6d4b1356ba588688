/** A job's life with the single executable on nodes that have no Node.js, nor anything else of ours. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { counted, JobBench, SKIP } from '../cli/job-bench.ts';
import { finishCli } from '../cli/run-cli.ts';
import { buildSingle, HIDE_NODE, NO_MOUNTS, startSingle } from './single.ts';

before(() => {
  buildSingle();
});

const LIMITS = { timeout: 120_000 };
const PERIODS = ['--every', '700ms', '--first', '300ms'];
/** The wrapper, while its job sleeps. */
const MOST_MEMORY_KB = 60 * 1024;

/** Says what it was given first; the rest is `counting`. */
const program = (steps: number): readonly string[] => [
  '/bin/sh',
  '-c',
  `echo "$NODE_OPTIONS $LD_PRELOAD $BLCR_KEEPER$MALLOC_ARENA_MAX$BLCR_BUNDLE"; ls -l /proc/$$/fd | grep -c deleted
   i=0; while [ $i -lt ${steps} ]; do echo step $i; echo $i >state; i=$((i+1)); sleep 0.1; done`,
];

test('killed, resumed elsewhere, evicted, resumed again on nodes without Node.js', {
  ...LIMITS,
  skip: SKIP || NO_MOUNTS,
}, async (context) => {
  const bench = new JobBench(context);
  const steps = 60;
  const closed = bench.makeDirectory('closed');
  // The submitter's settings for programs of his must not reach Node, but the program.
  const env = { NODE_OPTIONS: '--bad', LD_PRELOAD: '', TMPDIR: closed };
  const options = {
    env,
    mounts: `${HIDE_NODE} && mount -t tmpfs -o noexec,mode=1777 tmpfs '${closed}'`,
    prefix: ['prlimit', '--stack=unlimited'],
  };
  const start = (sandbox: string) =>
    startSingle(bench, sandbox, ['run', '--store', bench.store, '--id', 'job', ...PERIODS, '--', ...program(steps)], {
      ...options,
      stdout: bench.openOutput('out'),
    });

  const first = start('one');
  await bench.until('one', (event) => event.event === 'checkpoint' && event.sequence === 2, first);
  await delay(250);
  assert.ok(residentKb(first.pid ?? 0) <= MOST_MEMORY_KB, `${residentKb(first.pid ?? 0)} KiB are resident`);
  assert.equal(readFileSync(`/proc/${first.pid}/comm`, 'utf8'), 'blcr_wrapper\n');
  first.kill('SIGKILL');
  await once(first, 'exit');
  await bench.untilNothingRuns();
  assert.deepEqual(readdirSync(join(bench.directory, 'one')).sort(), ['.blcr', 'blcr_wrapper', 'state']);
  assert.deepEqual(readdirSync(closed), []);
  rmSync(join(bench.directory, 'one'), { recursive: true });

  const second = start('two');
  const started = await bench.until('two', (event) => event.event === 'started', second);
  assert.ok(started.event === 'started' && (started.resumedFrom ?? 0) >= 2);
  await bench.until('two', (event) => event.event === 'checkpoint', second);
  second.kill('SIGTERM');
  assert.equal((await once(second, 'exit'))[0], 85);
  await bench.untilNothingRuns();
  rmSync(join(bench.directory, 'two'), { recursive: true });

  const { code, stderr } = await finishCli(start('three'));
  assert.equal(code, 0, stderr);
  // No descriptor leads to a part of the executable: those are files without a name.
  assert.equal(bench.read('out'), `--bad  \n0\n${counted(steps)}`);
  assert.match(stderr, /^(blcr: job: .*\n)+$/, 'nothing but the wrapper’s report');
});

function residentKb(pid: number): number {
  return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
}
