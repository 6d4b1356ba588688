import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { RestartError } from '../../lib/errors.ts';
import { settled } from '../support/fake-clock.ts';
import { type Bench, corrupt, makeBench, unreachable } from './fakes.ts';

const path = ['/usr/bin/true', '/bin/true'].find(existsSync) ?? '';
const executable = createHash('sha256').update(readFileSync(path)).digest('hex');
const identity = { argv: ['true', 'x'], executable, inputs: {} };

const blame = (who: 'context' | 'node' | 'unknown'): RestartError =>
  new RestartError('cannot', { code: 'EIO', log: '', blame: who, retriable: who === 'node' });

function withCheckpoints(bench: Bench, count: number): Bench {
  for (let number = 0; number < count; number += 1) bench.store.keep({ identity });
  return bench;
}

test('the newest checkpoint is resumed, in the new directory, with its run time', async (context) => {
  const { engine, store, events, scratch, open, clock } = withCheckpoints(makeBench(context), 2);
  await using job = await open();
  assert.equal(engine.launches, 0);
  assert.deepEqual(engine.restarts[0]?.relocate, [['/old/scratch', scratch]]);
  assert.deepEqual(engine.restarts[0]?.binds, [['/old/scratch', scratch]]);
  const started = events.find(({ event }) => event === 'started');
  assert.equal(started?.event === 'started' && started.resumedFrom, 2);
  assert.equal(started?.event === 'started' && started.savedMs, 5000);
  await clock.advance(1000);
  assert.equal(store.kept.at(-1)?.summary.record.runtimeMs, 6000);
  engine.process.end({ exitCode: 0, signal: undefined });
  await job.done;
});

test('a damaged checkpoint, and one that the engine refuses: the next older one', async (context) => {
  for (const operation of ['open', 'extract', 'feed', 'engine'] as const) {
    const { engine, store, events, open } = withCheckpoints(makeBench(context), 2);
    store.before = (name, sequence) => {
      if (name === operation && sequence === 2) throw corrupt();
    };
    if (operation === 'engine') {
      engine.onRestart = async () => {
        if (engine.restarts.length === 1) throw blame('context');
      };
    }
    const job = await open();
    const started = events.find(({ event }) => event === 'started');
    assert.equal(started?.event === 'started' && started.resumedFrom, 1, operation);
    assert.equal(events.filter(({ event }) => event === 'warning').length, 1);
    store.before = () => undefined;
    engine.process.end({ exitCode: 0, signal: undefined });
    await job.done;
  }
});

test('process ids that are taken: once more under new ones, when that was allowed', async (context) => {
  const taken = new RestartError('taken', { code: 'EBUSY', log: '', blame: 'node', retriable: true });
  const { engine, events, open } = withCheckpoints(makeBench(context), 1);
  engine.onRestart = async () => {
    if (engine.restarts.at(-1)?.restorePid !== false) throw taken;
  };
  await assert.rejects(open(), { code: 'ERR_JOB_NODE', exitCode: 75 });
  assert.equal(engine.restarts.length, 1);
  const job = await open({ newPids: true });
  assert.deepEqual(
    engine.restarts.map(({ restorePid }) => restorePid),
    [true, true, false],
  );
  assert.ok(events.some((event) => event.event === 'warning' && event.code === 'EBUSY'));
  engine.process.end({ exitCode: 0, signal: undefined });
  await job.done;
});

test('a node that cannot restart: exit 75, nothing deleted, no older one tried', async (context) => {
  const { engine, store, open } = withCheckpoints(makeBench(context), 2);
  engine.onRestart = () => Promise.reject(blame('node'));
  await assert.rejects(open(), { code: 'ERR_JOB_NODE', exitCode: 75 });
  assert.equal(engine.restarts.length, 1);
  assert.equal(store.kept.length, 2);
  assert.equal(store.calls.includes('remove'), false);
  assert.equal(engine.launches, 0);
});

test('none can be restarted: exit 86, nothing deleted', async (context) => {
  const { engine, store, open } = withCheckpoints(makeBench(context), 3);
  engine.onRestart = () => Promise.reject(blame('unknown'));
  await assert.rejects(open(), { code: 'ERR_JOB_UNRESTARTABLE', exitCode: 86 });
  assert.equal(engine.restarts.length, 3);
  assert.equal(store.kept.length, 3);
  assert.equal(engine.launches, 0);
});

test('a connection that breaks during the download is waited for', async (context) => {
  const { clock, engine, store, events, open } = withCheckpoints(makeBench(context), 1);
  let failures = 0;
  store.before = (name) => {
    if (name === 'feed' && ++failures < 3) throw unreachable();
  };
  const opening = open();
  await clock.advance(20_000);
  const job = await opening;
  assert.equal(failures, 3);
  assert.ok(events.some((event) => event.event === 'started' && event.resumedFrom === 1));
  engine.process.end({ exitCode: 0, signal: undefined });
  await job.done;
});

test('another program, other arguments: refused unless accepted, or started over', async (context) => {
  const changed = { argv: ['true', 'y'], executable: '00', inputs: {} };
  const refused = makeBench(context);
  refused.store.keep({ identity: changed });
  await assert.rejects(refused.open(), { code: 'ERR_JOB_CHANGED', exitCode: 86 });
  assert.equal(refused.engine.restarts.length, 0);

  const accepted = makeBench(context);
  accepted.store.keep({ identity: changed });
  const job = await accepted.open({ acceptChanged: true });
  assert.equal(accepted.engine.restarts.length, 1);
  accepted.engine.process.end({ exitCode: 0, signal: undefined });
  await job.done;

  const fresh = makeBench(context);
  fresh.store.keep({ identity: changed });
  const over = await fresh.open({ fresh: true });
  assert.equal(fresh.engine.launches, 1);
  assert.equal(fresh.store.kept.length, 0);
  fresh.engine.process.end({ exitCode: 0, signal: undefined });
  await over.done;
});

test('an input file with other content is refused', async (context) => {
  const { scratch, store, open } = makeBench(context);
  writeFileSync(join(scratch, 'input'), 'new');
  store.keep({ identity: { ...identity, inputs: { input: 'f00' } } });
  await assert.rejects(open(), { code: 'ERR_JOB_CHANGED' });
});

test('an unreachable store at the first start: the program runs, and is checkpointed once the store is back', async (context) => {
  const { clock, engine, store, events, open } = makeBench(context);
  let isDown = true;
  store.before = () => {
    if (isDown) throw unreachable();
  };
  const job = await open();
  assert.equal(engine.launches, 1);
  await clock.advance(5000);
  isDown = false;
  await clock.advance(60_000);
  assert.ok(events.some(({ event }) => event === 'connected'));
  assert.ok(store.kept.length > 0);
  engine.process.end({ exitCode: 0, signal: undefined });
  assert.equal((await job.done).reason, 'exited');
});

test('… but when the store then shows checkpoints, this start gives way: exit 75', async (context) => {
  const { clock, engine, store, open } = withCheckpoints(makeBench(context), 1);
  let isDown = true;
  store.before = () => {
    if (isDown) throw unreachable();
  };
  const job = await open();
  isDown = false;
  await clock.advance(5000);
  await assert.rejects(job.done, { code: 'ERR_JOB_BLIND_START', exitCode: 75 });
  assert.equal(engine.process.killed, true);
  assert.equal(store.kept.length, 1);
});

test('an unreachable store at a later run: waited for, then exit 75; nothing starts', async (context) => {
  const marker = (scratch: string): Record<string, string> => {
    mkdirSync(join(scratch, '.blcr'));
    writeFileSync(join(scratch, '.blcr/started-job'), '1\n');
    return {};
  };
  const ad = (scratch: string): Record<string, string> => {
    writeFileSync(join(scratch, 'job.ad'), 'JobRunCount = 2\n');
    return { _CONDOR_JOB_AD: join(scratch, 'job.ad') };
  };
  for (const arrange of [marker, ad, () => ({ SLURM_RESTART_COUNT: '1' })]) {
    const { clock, engine, store, scratch, open } = makeBench(context);
    store.before = () => {
      throw unreachable();
    };
    const env = { PATH: '/usr/bin:/bin', ...arrange(scratch) };
    const rejected = assert.rejects(open({ env, storeWaitMs: 30_000 }), { code: 'ERR_JOB_STORE', exitCode: 75 });
    await clock.advance(31_000);
    await rejected;
    assert.equal(engine.launches, 0);
    assert.ok(store.calls.length > 3);
  }
});

test('opening can be given up while it waits for the store', async (context) => {
  const { clock, engine, store, scratch, open } = makeBench(context);
  mkdirSync(join(scratch, '.blcr'));
  writeFileSync(join(scratch, '.blcr/started-job'), '1\n');
  store.before = () => {
    throw unreachable();
  };
  const controller = new AbortController();
  const rejected = assert.rejects(open({ signal: controller.signal }), /evicted/);
  await clock.advance(2000);
  controller.abort(new Error('evicted'));
  await settled();
  await rejected;
  assert.equal(engine.launches, 0);
});
