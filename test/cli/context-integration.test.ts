/** `blcr checkpoint` and `blcr restart` without a store, and `blcr doctor`, with the real parts. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, closeSync, existsSync, mkdirSync, openSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { BENCH_USER, JobBench, SKIP } from './job-bench.ts';
import { finishCli } from './run-cli.ts';

const LIMITS = { skip: SKIP, timeout: 90_000 };

/** Whoever adopts it is of another session. */
async function untilParentEnded(pid: number): Promise<void> {
  const fields = (of: string): string[] =>
    readFileSync(`/proc/${of}/stat`, 'utf8')
      .replace(/^.*\) /, '')
      .split(' ');
  for (;;) {
    const [, parent, , session] = fields(String(pid));
    if (parent === '0' || fields(parent ?? '')[3] !== session) return;
    await delay(5);
  }
}

test('a context file of a running job; the restart is its parent', LIMITS, async (context) => {
  const bench = new JobBench(context);
  const script = 'i=0; while [ $i -lt 30 ]; do echo $i; i=$((i+1)); sleep 0.1; done; exit 7';
  const child = bench.run('one', 'context', ['/bin/sh', '-c', script], bench.openOutput('out'), '--first', '1h');
  const started = await bench.until('one', (event) => event.event === 'started', child);
  const pid = started.event === 'started' ? started.pid : 0;
  while (!bench.read('out').includes('5\n')) await delay(20);

  const figures = await finishCli(bench.start('one', ['checkpoint', String(pid), '-f', 'ctx', '--term', '--json']));
  assert.equal(figures.code, 0, figures.stderr);
  const { file, processes, bytes } = JSON.parse(figures.stdout) as Record<string, number | string>;
  assert.equal(file, 'ctx');
  assert.ok(Number(processes) >= 1 && Number(bytes) > 0);
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  assert.equal(child.signalCode, 'SIGTERM');
  assert.deepEqual(
    readdirSync(join(bench.directory, 'one')).filter((name) => name.includes('part')),
    [],
  );

  const restarted = await finishCli(bench.start('one', ['restart', 'ctx']));
  assert.equal(restarted.code, 7, restarted.stderr);
  // What the program had from its launcher, it has from the restarter now.
  const all = Array.from({ length: 30 }, (_, number) => `${number}\n`).join('');
  assert.match(restarted.stdout, /29\n$/);
  assert.ok(all.startsWith(bench.read('out')));
  assert.ok(all.endsWith(restarted.stdout));
  await bench.untilNothingRuns();
});

/** As with `sudo -u user job > /root/log`: found at no name that the job's user may look at. */
const GIVEN = {
  ...LIMITS,
  skip: SKIP || (process.getuid?.() === 0 ? false : "needs root to open somebody else's file"),
};

test('output into a file that only its opener may reach goes on there', GIVEN, async (context) => {
  const bench = new JobBench(context);
  const secret = join(bench.directory, 'secret');
  mkdirSync(secret, { mode: 0o700 });
  const log = join(secret, 'log');
  const output = openSync(log, 'w', 0o600);
  const script = 'i=0; while [ $i -lt 30 ]; do echo $i; i=$((i+1)); sleep 0.1; done; exit 7';
  const job = spawn('/bin/sh', ['-c', script], { ...BENCH_USER, detached: true, stdio: ['ignore', output, output] });
  const ended = once(job, 'exit');
  while (!readFileSync(log, 'utf8').includes('5\n')) await delay(20);
  const taken = await finishCli(bench.start('one', ['checkpoint', String(job.pid), '-f', 'ctx', '--term']));
  assert.equal(taken.code, 0, taken.stderr);
  await ended;
  appendFileSync(log, 'written after the checkpoint\n');

  const again = openSync(log, 'a');
  const restarted = await finishCli(bench.start('one', ['restart', 'ctx'], again));
  assert.equal(restarted.code, 7, restarted.stderr);
  const all = Array.from({ length: 30 }, (_, number) => `${number}\n`).join('');
  assert.equal(readFileSync(log, 'utf8'), all);
  for (const fd of [output, again]) closeSync(fd);
});

test('an orphan of a job that has no keeper is told of', LIMITS, async (context) => {
  const bench = new JobBench(context);
  const job = spawn('/bin/sh', ['-c', '(sleep 60 & echo $!); exec sleep 60'], {
    ...BENCH_USER,
    detached: true,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  context.after(() => process.kill(-(job.pid ?? 0), 'SIGKILL'));
  const [chunk] = (await once(job.stdout, 'data')) as [Buffer];
  job.stdout.destroy();
  await untilParentEnded(Number(chunk.toString()));
  const { code, stdout, stderr } = await finishCli(
    bench.start('one', ['checkpoint', String(job.pid), '-f', 'ctx', '--json']),
  );
  assert.equal(code, 0, stderr);
  const expected = `process ${Number(chunk.toString())} (sleep) belongs to session ${job.pid} of the job`;
  assert.match(stderr, /^blcr: warning WARN_LEFT_OUT: process \d+ \(sleep\) belongs to session/);
  const { warnings } = JSON.parse(stdout) as { warnings: readonly { code: string; message: string }[] };
  assert.equal(warnings[0]?.code, 'WARN_LEFT_OUT');
  assert.ok(warnings[0]?.message.startsWith(expected), warnings[0]?.message);
});

test('a process that is not there: no file is left', LIMITS, async (context) => {
  const bench = new JobBench(context);
  const { code, stderr } = await finishCli(bench.start('one', ['checkpoint', '4194000']));
  assert.equal(code, 1);
  assert.match(stderr, /ESRCH/);
  assert.equal(existsSync(join(bench.directory, 'one', 'context.4194000')), false);
  assert.deepEqual(readdirSync(join(bench.directory, 'one')), []);
});

test('a file that is no context is refused with 86', LIMITS, async (context) => {
  const bench = new JobBench(context);
  const { code, stderr } = await finishCli(bench.start('one', ['restart', '/etc/passwd']));
  assert.equal(code, 86, stderr);
});

test('the doctor tries it out', LIMITS, async (context) => {
  const bench = new JobBench(context);
  const { code, stdout, stderr } = await finishCli(bench.start('one', ['doctor', '--json']));
  const report = JSON.parse(stdout) as { ok: boolean; kind: string; probe: { ok: boolean; reason: string } };
  assert.equal(report.kind, 'userspace');
  assert.equal(report.ok, report.probe.ok);
  assert.equal(code, report.ok ? 0 : 75, stderr);
  assert.equal(report.probe.ok, true, report.probe.reason);
});
