import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { CheckpointError } from '../../lib/errors.ts';
import { createDeferred } from '../../lib/util/deferred.ts';
import { settled } from '../support/fake-clock.ts';
import { fenced, makeBench, unreachable } from './fakes.ts';

const refusal = (code: string): CheckpointError =>
  new CheckpointError('refused', { code, target: 1, log: 'fd 5 is a TCP socket' });

test('a job without checkpoints starts, is checkpointed, ends, and leaves nothing', async (context) => {
  const { clock, engine, store, events, scratch, open, names } = makeBench(context);
  const job = await open();
  assert.equal(engine.launches, 1);
  await clock.advance(1000);
  await clock.advance(10_000);
  assert.deepEqual(
    events.flatMap((event) => (event.event === 'checkpoint' ? [event.reason] : [])),
    ['first', 'periodic'],
  );
  engine.process.end({ exitCode: 3, signal: undefined });
  assert.deepEqual(await job.done, { reason: 'exited', exitCode: 3, signal: undefined });
  assert.equal(store.removed, true);
  assert.deepEqual(
    names().filter((name) => name === 'warning'),
    [],
  );
  const log = readFileSync(join(scratch, '.blcr/events.log'), 'utf8').trim().split('\n');
  assert.deepEqual(
    log.map((line) => (JSON.parse(line) as { event: string }).event),
    names().filter((name) => name !== 'progress'),
  );
  assert.deepEqual(readdirSync(join(scratch, '.blcr')), ['events.log']);
});

test('a program that is killed by a signal is reported so, and SIGKILL leaves the checkpoints', async (context) => {
  const { clock, engine, scratch, store, open } = makeBench(context);
  const job = await open();
  await clock.advance(1000);
  engine.process.end({ exitCode: undefined, signal: 'SIGKILL' });
  assert.deepEqual(await job.done, { reason: 'signaled', exitCode: undefined, signal: 'SIGKILL' });
  assert.equal(store.removed, false);
  assert.equal(store.kept.length, 1);
  assert.ok(existsSync(join(scratch, '.blcr/started-job')), 'the next run must see the store');
});

test('the engine refuses: a warning with its code, the job runs on, the next try comes soon', async (context) => {
  const { clock, engine, events, open } = makeBench(context);
  await using job = await open();
  engine.onCheckpoint = () => Promise.reject(refusal('CR_ENOSUPPORT'));
  await clock.advance(1600);
  const warning = events.find(({ event }) => event === 'warning');
  assert.equal(warning?.event === 'warning' && warning.code, 'CR_ENOSUPPORT');
  assert.equal(engine.process.killed, false);
  engine.onCheckpoint = makeBench(context).engine.onCheckpoint;
  await clock.advance(2500);
  assert.ok(events.some(({ event }) => event === 'checkpoint'));
  engine.process.end({ exitCode: 0, signal: undefined });
  await job.done;
});

test('an upload fails: the error that is told is the store’s, not the broken pipe that follows', async (context) => {
  const { clock, engine, store, events, open } = makeBench(context);
  await using job = await open();
  const engineEnd = createDeferred<never>();
  engine.onCheckpoint = () => engineEnd.promise;
  store.before = (operation) => {
    if (operation !== 'write') return;
    engineEnd.reject(refusal('EPIPE'));
    throw unreachable();
  };
  await clock.advance(1600);
  const codes = events.flatMap((event) => (event.event === 'warning' ? [event.code] : []));
  assert.deepEqual(codes, ['ERR_STORE_UNREACHABLE']);
  engine.process.end({ exitCode: 0, signal: undefined });
  await job.done;
});

test('a program that ends while it is being checkpointed keeps its own status, without a warning', async (context) => {
  const { clock, engine, events, open } = makeBench(context);
  const job = await open();
  const end = createDeferred<never>();
  engine.onCheckpoint = () => end.promise;
  await clock.advance(1000);
  end.reject(refusal('ESRCH'));
  await settled();
  engine.process.end({ exitCode: 7, signal: undefined });
  await clock.advance(1000);
  assert.deepEqual(await job.done, { reason: 'exited', exitCode: 7, signal: undefined });
  assert.deepEqual(
    events.filter(({ event }) => event === 'warning'),
    [],
  );
});

test('a checkpoint on request; aborting it leaves program and checkpoint alone', async (context) => {
  const { engine, clock, open } = makeBench(context);
  await using job = await open();
  const stored = await job.checkpoint();
  assert.equal(stored.reason, 'request');
  assert.equal(stored.stopUs, 900);
  const controller = new AbortController();
  const second = job.checkpoint({ signal: controller.signal });
  controller.abort(new Error('enough'));
  await assert.rejects(second, /enough/);
  await clock.advance(0);
  assert.equal(engine.process.killed, false);
  assert.equal(engine.checkpoints.length, 2);
  engine.process.end({ exitCode: 0, signal: undefined });
  await job.done;
  await assert.rejects(job.checkpoint(), { code: 'ERR_JOB_OVER' });
});

test('fenced at a checkpoint, and fenced at the regular look: the job is killed', async (context) => {
  for (const operation of ['write', 'check'] as const) {
    const { clock, engine, store, open } = makeBench(context);
    const job = await open({ first: operation === 'check' ? 600_000 : 1000 });
    store.before = (name) => {
      if (name === operation) throw fenced();
    };
    await clock.advance(29_999);
    assert.equal(engine.process.killed, operation === 'write');
    await clock.advance(1);
    assert.deepEqual(await job.done, { reason: 'fenced', exitCode: undefined, signal: undefined });
    assert.equal(engine.process.killed, true);
    assert.equal(store.removed, false);
  }
});

test('a store that goes away between checkpoints does not stop the job', async (context) => {
  const { clock, engine, store, open } = makeBench(context);
  await using job = await open({ first: 600_000 });
  store.before = () => {
    throw unreachable();
  };
  await clock.advance(300_000);
  assert.equal(engine.process.killed, false);
  store.before = () => undefined;
  engine.process.end({ exitCode: 0, signal: undefined });
  assert.equal((await job.done).reason, 'exited');
});

test('the store cannot be cleaned in the end: a warning, and the program’s own status', async (context) => {
  const { engine, store, events, open } = makeBench(context);
  const job = await open();
  store.before = () => {
    throw unreachable();
  };
  engine.process.end({ exitCode: 0, signal: undefined });
  assert.deepEqual(await job.done, { reason: 'exited', exitCode: 0, signal: undefined });
  assert.ok(events.some((event) => event.event === 'warning' && event.code === 'ERR_STORE_UNREACHABLE'));
});

test('signals are passed on; the marker of a started job goes with its end', async (context) => {
  const { engine, scratch, open } = makeBench(context);
  const job = await open();
  job.signal('SIGHUP');
  assert.deepEqual(engine.process.signals, ['SIGHUP']);
  assert.ok(existsSync(join(scratch, '.blcr/started-job')));
  engine.process.end({ exitCode: 0, signal: undefined });
  await job.done;
  assert.equal(existsSync(join(scratch, '.blcr/started-job')), false);
});

test('a program that outgrows the memory of the job while it is copied: the copy is given up, the next one is tried', async (context) => {
  const { clock, engine, store, events, scratch, open } = makeBench(context);
  const ad = join(scratch, '.job.ad');
  const residentMb = Number(readFileSync('/proc/self/statm', 'latin1').split(' ')[1]) / 256;
  writeFileSync(ad, `RequestMemory = ${Math.ceil(residentMb) + 64}\n`);
  let given: AbortSignal | undefined;
  engine.onCheckpoint = ({ abort }) =>
    new Promise((_, reject) => {
      given = abort;
      abort?.addEventListener('abort', () => reject(abort.reason));
    });
  await open({ env: { PATH: '/usr/bin:/bin', _CONDOR_JOB_AD: ad } });
  await clock.advance(1600);
  assert.equal(given?.aborted, false);
  const grown = Buffer.alloc(256 * 1024 * 1024, 1);
  await clock.advance(1000);
  assert.equal(given?.aborted, true, `${grown.length} bytes more`);
  await clock.advance(1000);
  const warning = events.find((event) => event.event === 'warning');
  assert.equal(warning?.event === 'warning' && warning.code, 'ERR_JOB_MEMORY');
  assert.equal(store.kept.length, 0);
  assert.equal(engine.process.killed, false);
});
