import assert from 'node:assert/strict';
import { constants } from 'node:os';
import { test } from 'node:test';
import type { CheckpointResult } from '../../lib/checkpoint/types.ts';
import { CheckpointError } from '../../lib/errors.ts';
import { Patience } from '../../lib/job/patience.ts';
import { createDeferred } from '../../lib/util/deferred.ts';
import { FakeClock, settled } from '../support/fake-clock.ts';
import { FakeEngine, makeBench, unreachable } from './fakes.ts';

const vacated = { reason: 'vacated', exitCode: undefined, signal: undefined };

test('an eviction stores a last checkpoint that stops the program, then kills it', async (context) => {
  const { engine, store, open, names } = makeBench(context);
  const job = await open();
  assert.deepEqual(await job.vacate(), vacated);
  assert.equal(engine.checkpoints[0]?.signal, constants.signals.SIGSTOP);
  assert.equal(engine.checkpoints[0]?.snapshot, 'plain');
  assert.equal(engine.process.killed, true);
  assert.equal(store.kept.length, 1);
  assert.equal(store.kept[0]?.summary.record.reason, 'vacate');
  assert.equal(store.removed, false);
  assert.deepEqual(names(), ['connected', 'started', 'vacating', 'checkpoint', 'ended']);
});

test('the program is not killed before its checkpoint is stored', async (context) => {
  const { engine, store, open } = makeBench(context);
  const job = await open();
  const gate = createDeferred<void>();
  store.before = (operation) => (operation === 'write' ? gate.promise : undefined);
  const end = job.vacate();
  await settled();
  assert.equal(engine.process.killed, false);
  gate.resolve();
  assert.deepEqual(await end, vacated);
});

test('the deadline: the upload is given up, the program killed, the previous checkpoint stays', async (context) => {
  const { clock, engine, store, open } = makeBench(context);
  const job = await open();
  await clock.advance(1000);
  store.before = (operation) => (operation === 'write' ? new Promise(() => undefined) : undefined);
  const end = job.vacate({ deadlineMs: 5000 });
  await clock.advance(4999);
  assert.equal(engine.process.killed, false);
  await clock.advance(1);
  assert.deepEqual(await end, vacated);
  assert.equal(store.kept.length, 1);
  assert.equal(store.kept[0]?.summary.record.reason, 'first');
});

test('a store that fails is tried again until the deadline, the program running on meanwhile', async (context) => {
  const { clock, engine, store, open } = makeBench(context);
  const job = await open();
  let writes = 0;
  store.before = (operation) => {
    if (operation === 'write' && ++writes < 3) throw unreachable();
  };
  const end = job.vacate({ deadlineMs: 60_000 });
  await settled();
  assert.deepEqual(engine.process.signals, ['all SIGCONT']);
  await clock.advance(20_000);
  assert.deepEqual(await end, vacated);
  assert.equal(writes, 3);
  assert.equal(store.kept.length, 1);
});

test('the engine refuses the last checkpoint: the program is killed at the deadline', async (context) => {
  const { clock, engine, store, open } = makeBench(context);
  const job = await open();
  engine.onCheckpoint = () => Promise.reject(new CheckpointError('no', { code: 'CR_EPTRACED', target: 1, log: '' }));
  const end = job.vacate({ deadlineMs: 3000 });
  await clock.advance(3000);
  assert.deepEqual(await end, vacated);
  assert.equal(store.kept.length, 0);
  assert.deepEqual(engine.process.signals, []);
});

test('a program that ends by itself meanwhile leaves its result for the next incarnation', async (context) => {
  const { engine, store, open } = makeBench(context);
  const job = await open();
  const end = createDeferred<CheckpointResult>();
  engine.onCheckpoint = () => end.promise;
  const vacating = job.vacate();
  await settled();
  engine.process.end({ exitCode: 5, signal: undefined });
  end.reject(new CheckpointError('gone', { code: 'ESRCH', target: 1, log: '' }));
  assert.deepEqual(await vacating, { reason: 'exited', exitCode: 5, signal: undefined });
  assert.equal(store.finishedRecord?.exitCode, 5);
  assert.equal(store.removed, false);
});

test('a finished job is only delivered: nothing is started, the store is cleaned', async (context) => {
  const { engine, store, open, names } = makeBench(context);
  store.finishedRecord = { exitCode: undefined, signal: 'SIGSEGV', finished: 0, scratch: '/old' };
  const job = await open();
  assert.deepEqual(await job.done, { reason: 'signaled', exitCode: undefined, signal: 'SIGSEGV' });
  assert.equal(engine.launches, 0);
  assert.equal(store.removed, true);
  assert.equal(job.pid, undefined);
  assert.deepEqual(names(), ['connected', 'ended']);
  assert.deepEqual(await job.vacate(), { reason: 'signaled', exitCode: undefined, signal: 'SIGSEGV' });
});

test('an eviction during a checkpoint gives that one up for a newer one', async (context) => {
  const { clock, engine, store, open } = makeBench(context);
  const job = await open();
  const { onCheckpoint } = new FakeEngine();
  engine.onCheckpoint = (options) =>
    options.signal === constants.signals.SIGSTOP
      ? onCheckpoint(options)
      : new Promise((_resolve, reject) => {
          options.abort?.addEventListener('abort', () =>
            reject(new CheckpointError('aborted', { code: 'ABORT_ERR', target: 1, log: '' })),
          );
        });
  await clock.advance(1000);
  assert.deepEqual(await job.vacate(), vacated);
  assert.deepEqual(
    store.kept.map(({ summary }) => summary.record.reason),
    ['vacate'],
  );
});

test('a second eviction and requests meanwhile change nothing', async (context) => {
  const { clock, store, open } = makeBench(context);
  const job = await open();
  store.before = (operation) => (operation === 'write' ? new Promise(() => undefined) : undefined);
  const first = job.vacate({ deadlineMs: 5000 });
  const second = job.vacate({ deadlineMs: 1 });
  await assert.rejects(job.checkpoint(), { code: 'ERR_JOB_OVER' });
  await clock.advance(4999);
  assert.equal(await Promise.race([second.then(() => 'over'), settled().then(() => 'not yet')]), 'not yet');
  await clock.advance(1);
  assert.deepEqual(await first, vacated);
  assert.deepEqual(await second, vacated);
});

test('without a store the deadline ends the job, as nothing can be stored', async (context) => {
  const { clock, store, open } = makeBench(context);
  store.before = () => {
    throw unreachable();
  };
  const job = await open();
  const end = job.vacate({ deadlineMs: 3000 });
  await clock.advance(3000);
  assert.deepEqual(await end, vacated);
});

test('leaving the scope of a running job evicts it', async (context) => {
  const { engine, store, open } = makeBench(context);
  {
    await using _job = await open();
  }
  assert.equal(engine.process.killed, true);
  assert.equal(store.kept.length, 1);
});

test('nobody is waited for beyond the deadline of an eviction', async () => {
  const clock = new FakeClock();
  const patience = new Patience(clock);
  assert.deepEqual([patience.forResult(), patience.forCleaning()], [30_000, 30_000]);
  patience.evict(20_000);
  assert.deepEqual([patience.forResult(), patience.forCleaning()], [20_000, 2000]);
  await clock.advance(19_000);
  assert.deepEqual([patience.forResult(), patience.forCleaning()], [1000, 1000]);
  await clock.advance(60_000);
  assert.deepEqual([patience.forResult(), patience.forCleaning()], [200, 200]);
});
