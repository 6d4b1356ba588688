/** A batch system kills a job process by process: what looks like the program's end meanwhile is none. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { settled } from '../support/fake-clock.ts';
import { makeBench } from './fakes.ts';

const ENV = { PATH: '/usr/bin:/bin', _CONDOR_JOB_AD: '/nonexistent/.job.ad' };

test('a shell that ends with 137: its checkpoints are not removed before a moment has passed', async (context) => {
  const { engine, store, clock, open } = makeBench(context);
  const job = await open({ env: ENV });
  engine.process.end({ exitCode: 137, signal: undefined });
  await settled();
  assert.equal(store.removed, false, 'whoever is killed now has removed nothing');
  await clock.advance(300);
  assert.equal((await job.done).exitCode, 137);
  assert.equal(store.removed, true);
});

test('an end without error is not delayed', async (context) => {
  const { engine, store, open } = makeBench(context);
  const job = await open({ env: ENV });
  engine.process.end({ exitCode: 0, signal: undefined });
  assert.equal((await job.done).exitCode, 0);
  assert.equal(store.removed, true);
});

test('killed with SIGKILL while it is evicted: no finished job, the checkpoints stay', async (context) => {
  const { engine, store, clock, open } = makeBench(context);
  const job = await open({ env: ENV });
  engine.onCheckpoint = () => new Promise(() => undefined);
  const vacating = job.vacate({ deadlineMs: 60_000 });
  await settled();
  engine.process.end({ exitCode: undefined, signal: 'SIGKILL' });
  await clock.advance(40_000);
  assert.equal((await vacating).signal, 'SIGKILL');
  assert.equal(store.finishedRecord, undefined);
  assert.equal(store.removed, false);
});
