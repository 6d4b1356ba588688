import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Scheduler } from '../../lib/schedule/scheduler.ts';
import { createDeferred, type Deferred } from '../../lib/util/deferred.ts';
import { FakeClock, settled } from '../support/fake-clock.ts';

const options = { firstMs: 100, everyMs: 1000, jitter: 0, retryMs: 20, retryMaxMs: 500 };

function harness() {
  const clock = new FakeClock();
  const begun: { reason: string; at: number; signal: AbortSignal; end: Deferred<{ bytes: number }> }[] = [];
  let stops = 0;
  const scheduler = new Scheduler<{ bytes: number }>(options, clock, {
    checkpoint(reason, signal) {
      const end = createDeferred<{ bytes: number }>();
      signal.addEventListener('abort', () => end.reject(signal.reason));
      begun.push({ reason, at: clock.now(), signal, end });
      return end.promise;
    },
    stop: () => {
      stops += 1;
    },
  });
  return { clock, begun, scheduler, stops: () => stops };
}

test('checkpoints follow the period, and a slow one is not overtaken', async () => {
  const { clock, begun, scheduler } = harness();
  scheduler.start();
  await clock.advance(5000);
  assert.deepEqual(
    begun.map(({ reason, at }) => [reason, at]),
    [['first', 100]],
  );
  begun[0]?.end.resolve({ bytes: 1 });
  await clock.advance(100);
  assert.deepEqual(
    begun.map(({ reason, at }) => [reason, at]),
    [
      ['first', 100],
      ['periodic', 5100],
    ],
  );
  begun[1]?.end.resolve({ bytes: 1 });
  await scheduler.end();
});

test('a request made during a checkpoint is answered by the next one', async () => {
  const { clock, begun, scheduler } = harness();
  scheduler.start();
  await clock.advance(100);
  const answer = scheduler.request();
  begun[0]?.end.resolve({ bytes: 1 });
  await settled();
  assert.equal(begun[1]?.reason, 'request');
  begun[1]?.end.resolve({ bytes: 2 });
  assert.deepEqual(await answer, { bytes: 2 });
  await scheduler.end();
});

test('aborting a request stops the waiting, not the checkpoint', async () => {
  const { begun, scheduler } = harness();
  scheduler.start();
  const controller = new AbortController();
  const answer = scheduler.request(controller.signal);
  controller.abort(new Error('enough'));
  await assert.rejects(answer, /enough/);
  assert.equal(begun[0]?.signal.aborted, false);
  begun[0]?.end.resolve({ bytes: 1 });
  await scheduler.end();
});

test('the end rejects those who wait, and abandons what runs', async () => {
  const { clock, begun, scheduler } = harness();
  scheduler.start();
  await clock.advance(100);
  const answer = scheduler.request();
  const rejected = assert.rejects(answer, { code: 'ERR_JOB_OVER' });
  await scheduler.end();
  await rejected;
  assert.equal(begun[0]?.signal.aborted, true);
  await assert.rejects(scheduler.request(), { code: 'ERR_JOB_OVER' });
});

test('an eviction stops once, at the deadline at the latest', async () => {
  const { clock, begun, scheduler, stops } = harness();
  scheduler.start();
  scheduler.vacate(300);
  scheduler.vacate(10);
  assert.equal(begun[0]?.reason, 'vacate');
  await clock.advance(299);
  assert.equal(stops(), 0);
  await clock.advance(1);
  assert.equal(stops(), 1);
  assert.equal(begun[0]?.signal.aborted, true);
  await clock.advance(10_000);
  assert.equal(stops(), 1);
});

test('requests are refused during an eviction', async () => {
  const { begun, scheduler } = harness();
  scheduler.start();
  scheduler.vacate(300);
  await assert.rejects(scheduler.request(), { code: 'ERR_JOB_OVER' });
  begun[0]?.end.resolve({ bytes: 1 });
  await scheduler.end();
});
