/** Evictions at bad moments. */

import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { counted, counting } from '../cli/job-bench.ts';
import { finishCli } from '../cli/run-cli.ts';
import { ChirpServer } from '../support/chirp-server.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';
import {
  CHIRP_LIMITS,
  FaultBench,
  isCheckpoint,
  isStarted,
  isWarning,
  LIMITS,
  LiveEvents,
  NEVER,
  OFTEN,
} from './bench.ts';

const REQUEUE = 85;
const STEPS = 60;

/** Evicts, and checks that the next run goes on from what was stored last, to the right end. */
async function assertEvicted(bench: FaultBench, child: ChildProcess, resume: () => ChildProcess): Promise<void> {
  const [code] = child.exitCode === null && child.signalCode === null ? await once(child, 'exit') : [child.exitCode];
  assert.equal(code, REQUEUE);
  await bench.untilNothingRuns();
  const { code: last, stderr } = await finishCli(resume());
  assert.equal(last, 0, stderr);
  assert.equal(bench.read('out'), counted(STEPS));
}

test('SIGTERM before the program runs, before the first checkpoint, and twice', LIMITS, async (context) => {
  const bench = new FaultBench(context);
  const run = (name: string, options: readonly string[]) =>
    bench.runAt(bench.store, name, counting(STEPS), options, bench.openOutput('out'));

  const early = run('early', NEVER);
  await delay(50);
  early.kill('SIGTERM');
  // Killed by it when it came before the wrapper's first line of code; told to come again otherwise.
  const [code, signal] = await once(early, 'exit');
  assert.ok(code === REQUEUE || signal === 'SIGTERM', `${code} ${signal}`);
  await bench.untilNothingRuns();

  const first = run('first', NEVER);
  await bench.until('first', isStarted, first);
  first.kill('SIGTERM');
  assert.deepEqual(await once(first, 'exit'), [REQUEUE, null]);
  await bench.untilNothingRuns();
  const only = bench.events('first').filter(isCheckpoint);
  assert.ok(only.length === 1 && only[0]?.event === 'checkpoint' && only[0].reason === 'vacate');

  const twice = run('twice', OFTEN);
  await bench.until('twice', isCheckpoint, twice);
  twice.kill('SIGTERM');
  await bench.until('twice', ({ event }) => event === 'vacating', twice);
  twice.kill('SIGTERM');
  await assertEvicted(bench, twice, () => run('last', OFTEN));
  const resumed = bench.events('last').find(isStarted);
  assert.ok(resumed?.event === 'started' && resumed.resumedFrom !== undefined);
});

interface Slow {
  readonly bench: FaultBench;
  readonly server: ChirpServer;
  readonly proxy: TcpProxy;
  readonly url: string;
}

/** A server behind a line of 4 MB/s. */
async function slowStore(context: TestContext): Promise<Slow> {
  const server = await ChirpServer.start();
  const proxy = await TcpProxy.start(server, { uploadRate: 4_000_000 });
  const bench = new FaultBench(context);
  context.after(async () => {
    await proxy.stop();
    await server.stop();
  });
  return { bench, server, proxy, url: `chirp://${proxy.host}:${proxy.port}/store` };
}

test(
  'SIGTERM during an upload: a checkpoint is stored, exit 85, the next run goes on',
  CHIRP_LIMITS,
  async (context) => {
    const { bench, url } = await slowStore(context);
    const program = [bench.build('victim'), 'write', '8', '8', '7'];
    const child = bench.runAt(url, 'one', program, OFTEN);
    const live = new LiveEvents(child);
    await live.untilShipped(500_000);
    child.kill('SIGTERM');
    const [code] = await once(child, 'exit');
    assert.equal(code, REQUEUE);
    await bench.untilNothingRuns();
    const stored = live.seen.filter(isCheckpoint);
    assert.ok(stored.some((event) => event.event === 'checkpoint' && event.reason === 'vacate'));
    const second = bench.runAt(url, 'two', program, NEVER);
    const started = await new LiveEvents(second).until(isStarted);
    assert.ok(started.event === 'started' && started.resumedFrom !== undefined);
    second.kill('SIGHUP');
    assert.deepEqual(await once(second, 'exit'), [7, null]);
  },
);

test('SIGUSR2 during an upload: another checkpoint follows it', CHIRP_LIMITS, async (context) => {
  const { bench, url } = await slowStore(context);
  const child = bench.runAt(url, 'one', [bench.build('victim'), 'write', '4', '4', '7'], NEVER);
  const live = new LiveEvents(child);
  await live.until(isStarted);
  child.kill('SIGUSR2');
  await live.untilShipped(500_000);
  child.kill('SIGUSR2');
  await live.until((event) => event.event === 'checkpoint' && event.sequence === 2 && event.reason === 'request');
  child.kill('SIGHUP');
  assert.deepEqual(await once(child, 'exit'), [7, null]);
});

test(
  'SIGTERM while the store is away: over at the deadline, the checkpoint before stays',
  CHIRP_LIMITS,
  async (context) => {
    const { bench, server, proxy, url } = await slowStore(context);
    const run = (name: string, options: readonly string[]) =>
      bench.runAt(url, name, counting(STEPS), options, bench.openOutput('out'));
    const child = run('one', ['--first', '200ms', '--every', '1h', '--vacate-within', '3s']);
    const live = new LiveEvents(child);
    await live.until(isCheckpoint);
    await server.kill();
    proxy.cut();
    child.kill('SIGTERM');
    const begun = performance.now();
    const [code] = await once(child, 'exit'); // the deadline's doing: the store stays away
    assert.equal(code, REQUEUE);
    assert.ok(performance.now() - begun > 2000, 'it was given up long before its deadline');
    await bench.untilNothingRuns();
    await server.restart();
    await assertEvicted(bench, child, () => run('two', OFTEN));
    const resumed = bench.events('two').find(isStarted);
    assert.ok(resumed?.event === 'started' && resumed.resumedFrom === 1);
  },
);

test(
  'a producer that ends during a slow upload: its reader sees the end of file at once',
  CHIRP_LIMITS,
  async (context) => {
    const { bench, url } = await slowStore(context);
    const victim = bench.build('victim');
    const [stop, end] = ['stop', 'end'].map((name) => join(bench.directory, 'one', name));
    const script = `${victim} produce 16000 ${stop} | ${victim} consume ${end}; sleep 60`;
    const child = bench.runAt(
      url,
      'one',
      ['/bin/bash', '-c', script],
      ['--first', '500ms', '--every', '1h', '--files', 'none'],
    );
    const live = new LiveEvents(child);
    await live.untilShipped(500_000);
    await (await import('node:fs/promises')).writeFile(stop ?? '', '');
    while (!existsSync(end ?? '')) await delay(5);
    assert.ok(!live.seen.some(isCheckpoint), 'the upload was over before the end of file was seen');
    const taken = await live.until(isCheckpoint);
    assert.ok(taken.event === 'checkpoint' && taken.snapshot === 'fork');
    assert.ok(!live.seen.some(isWarning('EPIPE')));
  },
);
