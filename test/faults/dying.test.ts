/** Ends at bad moments: of the program, of its keeper, of the wrapper, of the store. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { counted, counting } from '../cli/job-bench.ts';
import { finishCli } from '../cli/run-cli.ts';
import { ChirpServer } from '../support/chirp-server.ts';
import { CHIRP_LIMITS, FaultBench, isCheckpoint, isStarted, LIMITS, OFTEN } from './bench.ts';

test('a program that ends or is killed during a checkpoint: its own end is reported', LIMITS, async (context) => {
  const bench = new FaultBench(context);
  const output = await bench.script('dying-rounds.ts', bench.build('victim'), bench.store);
  const [complete = 0, broken = 0] = output.trim().split(' ').map(Number);
  context.diagnostic(`${complete} checkpoints were complete, ${broken} were not`);
  assert.ok(complete > 0 && broken > 0, 'the moments do not reach from before to after the end of a checkpoint');
  await bench.untilNothingRuns();
});

test(
  'the keeper killed at any moment of a checkpoint: nothing is left, the last checkpoint restarts',
  LIMITS,
  async (context) => {
    const bench = new FaultBench(context);
    // One process leaves the session: only what it carries with it tells that it belongs to the job.
    const pipeline = 'setsid sleep 4321 & { while :; do echo x; sleep 0.01; done; } | cat >/dev/null';
    const output = await bench.script('keeper-rounds.ts', bench.store, '/bin/sh', '-c', pipeline);
    context.diagnostic(`rounds, last complete checkpoint: ${output.trim()}`);
    await bench.untilNothingRuns();
  },
);

test(
  'the wrapper killed at any moment: nothing is left, and the job goes on to the right end',
  LIMITS,
  async (context) => {
    const bench = new FaultBench(context);
    const steps = 60;
    const run = (name: string) => bench.runAt(bench.store, name, counting(steps), OFTEN, bench.openOutput('out'));
    const first = run('first');
    await bench.until('first', isCheckpoint, first);
    await bench.lose(first);
    let known = 1;
    for (let turn = 0; turn < 8; turn++) {
      const scratch = `turn-${turn}`;
      const child = run(scratch);
      // Half of them from before its first line of code on, half from when the program runs to after a checkpoint.
      if (turn % 2 === 1) await bench.until(scratch, isStarted, child);
      await delay(turn % 2 === 1 ? turn * 100 : 100 + turn * 150);
      await bench.lose(child);
      const events = bench.events(scratch);
      const started = events.find((event) => event.event === 'started');
      if (started?.event === 'started') assert.ok((started.resumedFrom ?? 0) >= known);
      for (const event of events) if (event.event === 'checkpoint') known = event.sequence;
    }
    const { code, stderr } = await finishCli(run('last'));
    assert.equal(code, 0, stderr);
    assert.equal(bench.read('out'), counted(steps));
    const resumed = bench.events('last').find((event) => event.event === 'started');
    assert.ok(resumed?.event === 'started' && (resumed.resumedFrom ?? 0) >= known);
    await bench.untilNothingRuns();
  },
);

test('the store killed at any moment: the job runs on, the last checkpoint restarts', CHIRP_LIMITS, async (context) => {
  const bench = new FaultBench(context);
  await using server = await ChirpServer.start();
  const url = `chirp://${server.host}:${server.port}/store`;
  const steps = 90;
  const run = (name: string) => bench.runAt(url, name, counting(steps), OFTEN, bench.openOutput('out'));
  const first = run('one');
  await bench.until('one', isCheckpoint, first);
  for (let turn = 0; turn < 8; turn++) {
    await delay(((turn * 5) % 8) * 60);
    await server.restart();
  }
  const count = bench.events('one').filter(isCheckpoint).length;
  await bench.until('one', (event) => event.event === 'checkpoint' && event.sequence > count, first);
  assert.equal(first.exitCode, null, 'the job runs on');
  await server.kill();
  await bench.lose(first);
  await server.restart();
  const known = Math.max(...bench.events('one').map((event) => (event.event === 'checkpoint' ? event.sequence : 0)));
  const second = run('two');
  const started = await bench.until('two', (event) => event.event === 'started', second);
  assert.ok(started.event === 'started' && (started.resumedFrom ?? 0) >= known);
  const [code] = await once(second, 'exit');
  assert.equal(code, 0);
  assert.equal(bench.read('out'), counted(steps));
});
