/** A context that is truncated, damaged, pieced together or no context at all: refused, and nothing of the program ever runs. */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, openSync, readFileSync, readSync, statSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { finishCli } from '../cli/run-cli.ts';
import { FaultBench, IS_ROOT, isCheckpoint, isStarted, LIMITS, LiveEvents, NEVER, ORDINARY_USER } from './bench.ts';

const CR_RESTART = fileURLToPath(new URL('../../build/native/cr_restart', import.meta.url));

function readCount(trace: string): bigint {
  const fd = openSync(trace, 'r');
  const bytes = Buffer.alloc(8);
  readSync(fd, bytes, 0, 8, 0);
  closeSync(fd);
  return bytes.readBigUInt64LE();
}

function resetCount(trace: string): void {
  const fd = openSync(trace, 'r+');
  writeSync(fd, Buffer.alloc(8), 0, 8, 0);
  closeSync(fd);
}

/** A spinning program's context: it counts in the file `trace`, so that no instruction of it can run unseen. */
class Traced {
  readonly bench: FaultBench;
  readonly trace: string;
  readonly bytes: Buffer;

  private constructor(bench: FaultBench, trace: string, bytes: Buffer) {
    this.bench = bench;
    this.trace = trace;
    this.bytes = bytes;
  }

  static async take(context: TestContext): Promise<Traced> {
    const bench = new FaultBench(context);
    const trace = join(bench.directory, 'trace');
    const fd = bench.openOutput('trace');
    writeSync(fd, Buffer.alloc(4096));
    closeSync(fd);
    const program = [bench.build('victim'), 'spin', trace];
    const child = bench.runAt(bench.store, 'one', program, NEVER, bench.openOutput('out'));
    const started = await new LiveEvents(child).until(isStarted);
    const pid = String(started.event === 'started' ? started.pid : 0);
    const taken = new Traced(bench, trace, Buffer.alloc(0));
    while (taken.count() === 0n) await delay(5);
    const { code, stderr } = await finishCli(bench.start('two', ['checkpoint', pid, '-f', '../context']));
    assert.equal(code, 0, stderr);
    await bench.lose(child);
    return new Traced(bench, trace, readFileSync(join(bench.directory, 'context')));
  }

  count(): bigint {
    return readCount(this.trace);
  }

  reset(): void {
    resetCount(this.trace);
  }

  put(name: string, bytes: Uint8Array): string {
    const path = join(this.bench.directory, name);
    writeFileSync(path, bytes, { mode: 0o644 });
    return path;
  }
}

/** What may happen to a file on its way, each with its name. */
function damages(bytes: Buffer): readonly (readonly [string, Buffer])[] {
  const list: [string, Buffer][] = [['empty', Buffer.alloc(0)]];
  const places = [0, 3, 9, 15, 40, 200];
  for (let eighth = 1; eighth < 8; eighth++) places.push(Math.floor((bytes.length * eighth) / 8));
  places.push(bytes.length - 20, bytes.length - 1);
  for (const place of places) {
    list.push([`ends after ${place}`, bytes.subarray(0, place)]);
    const flipped = Buffer.from(bytes);
    flipped[place] = (flipped[place] ?? 0) ^ (1 << (place % 8));
    list.push([`bit flipped in byte ${place}`, flipped]);
  }
  const half = bytes.length >> 1;
  list.push(['its halves changed places', Buffer.concat([bytes.subarray(half), bytes.subarray(0, half)])]);
  list.push(['a hole of zeros', Buffer.concat([bytes.subarray(0, half), Buffer.alloc(half)])]);
  list.push(['a program', readFileSync('/bin/true')]);
  list.push(['text', Buffer.from('#!/bin/sh\necho no\n')]);
  return list;
}

/** As the ordinary user, without Node: many are tried. */
function restartQuickly(traced: Traced, what: string, bytes: Buffer): void {
  const { status, stderr, error } = spawnSync(CR_RESTART, [traced.put('damaged', bytes)], {
    env: { ...traced.bench.environment() },
    encoding: 'utf8',
    timeout: 10_000,
    ...(IS_ROOT ? { uid: ORDINARY_USER, gid: ORDINARY_USER } : {}),
  });
  assert.equal(error, undefined, `${what}: ${stderr}`);
  assert.ok(status !== 0 && status !== null, `${what}: exit ${status}`);
  assert.notEqual(stderr, '', what);
  assert.equal(traced.count(), 0n, `${what}: the program ran`);
}

test('damaged contexts: refused, and no instruction of the program runs', LIMITS, async (context) => {
  const traced = await Traced.take(context);
  traced.reset();
  for (const [what, bytes] of damages(traced.bytes)) restartQuickly(traced, what, bytes);
  await traced.bench.untilNothingRuns();
  assert.equal(traced.count(), 0n);

  for (const [name, bytes] of [
    ['truncated', traced.bytes.subarray(0, -1)],
    ['foreign', Buffer.from('something else')],
  ] as const) {
    const { code, stderr } = await finishCli(traced.bench.start('two', ['restart', traced.put(name, bytes)]));
    assert.equal(code, 86, `${name}: ${stderr}`);
    assert.equal(traced.count(), 0n, name);
  }

  // The same context undamaged does leave its trace: the tests above would have seen it.
  const child = traced.bench.start('two', ['restart', traced.put('good', traced.bytes)]);
  for (const deadline = Date.now() + 20_000; traced.count() === 0n; await delay(10)) {
    assert.ok(Date.now() < deadline, 'the undamaged context does not run');
  }
  await traced.bench.lose(child);
});

test('a node that cannot restart at all: 75, and the context stays', LIMITS, async (context) => {
  const traced = await Traced.take(context);
  traced.reset();
  const path = traced.put('good', traced.bytes);
  const env = { NODE_BLCR_LIBCR: join(traced.bench.directory, 'no-such-library') };
  const { code, stderr } = await finishCli(traced.bench.start('two', ['restart', path], 'pipe', env));
  assert.equal(code, 75, stderr);
  assert.equal(traced.count(), 0n);
  assert.equal(statSync(path).size, traced.bytes.length);
});

test('damaged contexts in a store: the newest good one is restarted, and with none 86', LIMITS, async (context) => {
  const bench = new FaultBench(context);
  const trace = join(bench.directory, 'trace');
  const fd = bench.openOutput('trace');
  writeSync(fd, Buffer.alloc(4096));
  closeSync(fd);
  const program = [bench.build('victim'), 'spin', trace];
  const run = (name: string) => bench.runAt(bench.store, name, program, NEVER, bench.openOutput('out'));
  const first = run('one');
  const live = new LiveEvents(first);
  await live.until(isStarted);
  while (readCount(trace) === 0n) await delay(5);
  first.kill('SIGUSR2');
  await live.until(isCheckpoint);
  await bench.lose(first);

  assert.equal((await bench.script('put-contexts.ts', bench.store)).trim(), '5 4 3 2 1');
  resetCount(trace);
  const second = run('two');
  const events = new LiveEvents(second);
  const started = await events.until(isStarted);
  assert.ok(started.event === 'started' && started.resumedFrom === 1);
  const refused = events.seen.filter((event) => event.event === 'warning' && /next older/.test(event.consequence));
  assert.equal(refused.length, 4, JSON.stringify(events.seen, undefined, 1));
  await bench.lose(second);

  assert.equal((await bench.script('put-contexts.ts', bench.store, '4')).trim(), '9 8 7 6');
  resetCount(trace);
  const { code, stderr } = await finishCli(run('three'));
  assert.equal(code, 86, stderr);
  assert.match(stderr, /ERR_JOB_UNRESTARTABLE/);
  await bench.untilNothingRuns();
  assert.equal(readCount(trace), 0n, 'the program ran');
});
