/** The main job with the real parts: keeper, engine, directory store, wrapper processes. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { openStore } from '../../lib/store/index.ts';
import { counted, counting, JobBench, SKIP } from './job-bench.ts';
import { finishCli } from './run-cli.ts';

const LIMITS = { skip: SKIP, timeout: 120_000 };

test(
  'killed, resumed elsewhere, evicted, resumed again: the output is an uninterrupted run’s',
  LIMITS,
  async (context) => {
    const bench = new JobBench(context);
    const steps = 70;
    const program = counting(steps);

    const first = bench.run('one', 'job', program, bench.openOutput('out'));
    await bench.until('one', (event) => event.event === 'checkpoint' && event.sequence === 2, first);
    await delay(250);
    first.kill('SIGKILL');
    await once(first, 'exit');
    await bench.untilNothingRuns();
    rmSync(join(bench.directory, 'one'), { recursive: true });

    const second = bench.run('two', 'job', program, bench.openOutput('out'));
    const started = await bench.until('two', (event) => event.event === 'started', second);
    assert.ok(started.event === 'started' && (started.resumedFrom ?? 0) >= 2);
    await bench.until('two', (event) => event.event === 'checkpoint', second);
    second.kill('SIGTERM');
    const [evicted] = await once(second, 'exit');
    assert.equal(evicted, 85);
    await bench.untilNothingRuns();
    assert.ok(bench.events('two').some((event) => event.event === 'checkpoint' && event.reason === 'vacate'));
    rmSync(join(bench.directory, 'two'), { recursive: true });
    assert.deepEqual(await storedFiles(bench.store, 'job'), ['state', 'stdout']);

    const third = bench.run('three', 'job', program, bench.openOutput('out'));
    const { code, stderr } = await finishCli(third);
    assert.equal(code, 0, stderr);
    assert.ok(bench.events('three').some((event) => event.event === 'started' && event.resumedFrom !== undefined));
    assert.equal(bench.read('out'), counted(steps));
    assert.equal(bench.read('three/state'), `${steps - 1}\n`);
    assert.equal(existsSync(join(bench.directory, 'store', 'job')), false);
  },
);

async function storedFiles(url: string, id: string): Promise<readonly string[]> {
  await using store = await openStore(url);
  const view = await store.inspect(id);
  const newest = await view?.open(view.summary.newest ?? 0);
  return newest?.files.map(({ path }) => path).sort() ?? [];
}

test('a pipeline is resumed as a whole, into a new output file', LIMITS, async (context) => {
  const bench = new JobBench(context);
  const count = 'i=0; while [ $i -lt 40 ]; do echo $i; i=$((i+1)); sleep 0.1; done';
  const program = ['/bin/bash', '-c', `{ ${count}; } | while read n; do echo got $n; done | cat`];
  const first = bench.run('one', 'pipeline', program, bench.openOutput('out-one'));
  await bench.until('one', (event) => event.event === 'checkpoint' && event.sequence === 2, first);
  first.kill('SIGKILL');
  await once(first, 'exit');
  await bench.untilNothingRuns();
  const second = bench.run('two', 'pipeline', program, bench.openOutput('out-two'));
  const { code, stderr } = await finishCli(second);
  assert.equal(code, 0, stderr);
  const expected = Array.from({ length: 40 }, (_, number) => `got ${number}\n`).join('');
  assert.equal(bench.read('out-two'), expected);
});

test('two wrappers with one id: the older stops itself with 88, the newer goes on', LIMITS, async (context) => {
  const bench = new JobBench(context);
  const program = counting(400);
  const older = bench.run('one', 'twin', program, bench.openOutput('out-one'));
  await bench.until('one', (event) => event.event === 'checkpoint', older);
  const newer = bench.run('two', 'twin', program, bench.openOutput('out-two'));
  const [code] = await once(older, 'exit');
  assert.equal(code, 88);
  await bench.until('two', (event) => event.event === 'checkpoint', newer);
  newer.kill('SIGTERM');
  const end = await finishCli(newer);
  assert.equal(end.code, 85, end.stderr);
  assert.ok(bench.events('two').some((event) => event.event === 'started' && event.resumedFrom !== undefined));
  assert.ok(counted(400).startsWith(bench.read('out-two')));
});

test('exit codes and signals of the program are the wrapper’s own', LIMITS, async (context) => {
  const bench = new JobBench(context);
  const cases: readonly (readonly [string, number | null, string | null])[] = [
    ['exit 0', 0, null],
    ['exit 3', 3, null],
    ['exit 85', 87, null],
    ['kill -SEGV $$', null, 'SIGSEGV'],
    ['kill -USR1 $$', null, 'SIGUSR1'],
    ['kill -PIPE $$', null, 'SIGPIPE'],
  ];
  for (const [script, code, signal] of cases) {
    const end = await finishCli(bench.run('scratch', 'status', ['/bin/sh', '-c', script]));
    assert.deepEqual([end.code, end.signal], [code, signal], `${script}: ${end.stderr}`);
    if (code === 87) assert.match(end.stderr, /ERR_JOB_COLLISION/);
  }
  const other = await finishCli(
    bench.run('scratch', 'status', ['/bin/sh', '-c', 'exit 85'], 'pipe', '--requeue-code', '99'),
  );
  assert.equal(other.code, 85);
});

test('signals: SIGUSR2 checkpoints, SIGUSR1 and SIGHUP reach the program', LIMITS, async (context) => {
  const bench = new JobBench(context);
  // bash: a dash that has just started a command with vfork loses a signal that comes before the command runs.
  const script = 'trap "echo usr1" USR1; trap "echo hup; exit 4" HUP; echo ready; while :; do sleep 0.05; done';
  const child = bench.run('one', 'signals', ['/bin/bash', '-c', script], bench.openOutput('out'), '--first', '1h');
  await bench.until('one', (event) => event.event === 'started', child);
  while (!bench.read('out').includes('ready')) await delay(20);
  child.kill('SIGUSR2');
  const taken = await bench.until('one', (event) => event.event === 'checkpoint', child);
  assert.ok(taken.event === 'checkpoint' && taken.reason === 'request');
  child.kill('SIGUSR1');
  while (!bench.read('out').includes('usr1')) await delay(20);
  child.kill('SIGHUP');
  const { code } = await finishCli(child);
  assert.equal(code, 4);
  assert.equal(bench.read('out'), 'ready\nusr1\nhup\n');
});

test('a SIGTERM to the whole process group evicts, a new and a resumed job', LIMITS, async (context) => {
  const bench = new JobBench(context);
  const program = counting(300);
  for (const scratch of ['one', 'two']) {
    const child = bench.run(scratch, 'group', program, bench.openOutput('out'), '--first', '1h');
    await bench.until(scratch, (event) => event.event === 'started', child);
    process.kill(-(child.pid ?? 0), 'SIGTERM');
    const [code, signal] = await once(child, 'exit');
    assert.deepEqual([code, signal], [85, null]);
    assert.ok(bench.events(scratch).some((event) => event.event === 'checkpoint' && event.reason === 'vacate'));
    await bench.untilNothingRuns();
  }
});

test('what a store holds: ls, show, verify, rm', LIMITS, async (context) => {
  const bench = new JobBench(context);
  const child = bench.run('one', 'kept#1', counting(400), bench.openOutput('out'));
  await bench.until('one', (event) => event.event === 'checkpoint' && event.sequence === 2, child);
  child.kill('SIGKILL');
  await once(child, 'exit');
  const ask = async (...args: string[]) => await finishCli(bench.start('asking', [...args, '--store', bench.store]));
  assert.match((await ask('ls')).stdout, /^kept_1 +open/m);
  const shown = JSON.parse((await ask('show', 'kept#1', '--json')).stdout) as { checkpoints: { sequence: number }[] };
  assert.equal(shown.checkpoints.length, 2);
  const verified = await ask('verify', 'kept_1');
  assert.equal(verified.code, 0, verified.stderr);
  assert.match(verified.stdout, /^checkpoint \d+: good\ncheckpoint \d+: good\n$/);
  assert.equal((await ask('rm', 'kept_1')).code, 0);
  const again = await ask('rm', 'kept_1');
  assert.equal(again.code, 1);
  assert.match(again.stderr, /ERR_STORE_NOT_FOUND/);
});
