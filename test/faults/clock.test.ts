/** Nodes whose date is wrong, or is put right by an hour and more while a job runs: nothing is decided by it. */

import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { JobEvent } from '../../lib/job/events.ts';
import { openStore } from '../../lib/store/index.ts';
import { ChirpServer } from '../support/chirp-server.ts';
import { CHIRP_LIMITS, FaultBench, isStarted, LiveEvents, NEVER } from './bench.ts';

const HOUR = 3600;
/** What the program ends with when it is told to. */
const CODE = 7;

/** A bench whose wrappers have a clock of their own; the program and the server have the machine's. */
class ClockBench extends FaultBench {
  readonly #library: string;
  readonly #clock: number;

  constructor(context: TestContext) {
    super(context);
    this.#library = join(this.directory, 'clock.so');
    const source = fileURLToPath(new URL('clock.c', import.meta.url));
    execFileSync('cc', ['-O1', '-Wall', '-Wextra', '-shared', '-fPIC', '-o', this.#library, source]);
    this.#clock = openSync(join(this.directory, 'clock'), 'w');
    this.setClock(0);
  }

  /** @param seconds By which the wrappers' date differs from the true one, from now on. */
  setClock(seconds: number): void {
    const bytes = Buffer.alloc(8);
    bytes.writeBigInt64LE(BigInt(seconds));
    writeSync(this.#clock, bytes, 0, 8, 0);
  }

  wrap(url: string, scratch: string, ...options: readonly string[]): ChildProcess {
    const program = ['/usr/bin/env', '-u', 'LD_PRELOAD', this.build('victim'), 'write', '2', '2', String(CODE)];
    const args = ['run', '--store', url, '--id', 'job', '--json', '--keep', '3', ...options, '--', ...program];
    const env = { LD_PRELOAD: this.#library, BLCR_TEST_CLOCK: join(this.directory, 'clock') };
    return this.start(scratch, args, 'pipe', env);
  }
}

const isCheckpoint =
  (sequence: number) =>
  (event: JobEvent): boolean =>
    event.event === 'checkpoint' && event.sequence >= sequence;

/** How far the date of an event is off, in whole hours. */
const hoursOff = ({ time }: JobEvent): number => Math.round((time - Date.now()) / (HOUR * 1000)) + 0;

test(
  'the date jumps back and forth: periods, retention, the newest checkpoint, fencing and deadlines hold',
  CHIRP_LIMITS,
  async (context) => {
    await using server = await ChirpServer.start();
    const url = `chirp://${server.host}:${server.port}/`;
    const bench = new ClockBench(context);

    const first = bench.wrap(url, 'one', ...NEVER, '--vacate-after', '90m');
    const live = new LiveEvents(first);
    await live.until(isStarted);
    // Neither the period nor the time limit is ended by a jump: each checkpoint was asked for, and the wrapper is still there.
    for (const [index, hours] of [0, -1, 2, -1].entries()) {
      bench.setClock(hours * HOUR);
      first.kill('SIGUSR2');
      const event = await live.until(isCheckpoint(index + 1));
      assert.ok(event.event === 'checkpoint' && event.reason === 'request' && event.sequence === index + 1);
      assert.equal(hoursOff(event), hours, 'the wrapper’s clock is the one that was set');
    }
    await bench.lose(first);
    await using store = await openStore(url);
    const kept = await (await store.inspect('job'))?.checkpoints();
    assert.deepEqual(
      kept?.slice(0, 3).map(({ sequence }) => sequence),
      [4, 3, 2],
    );

    const second = bench.wrap(url, 'two', '--first', '200ms', '--every', '300ms', '--vacate-within', '60s');
    const later = new LiveEvents(second);
    const resumed = await later.until(isStarted);
    assert.ok(resumed.event === 'started' && resumed.resumedFrom === 4, 'checkpoint 3 has a later date');
    await later.until(isCheckpoint(5));
    bench.setClock(-2 * HOUR);
    await later.until(isCheckpoint(7));
    second.kill('SIGTERM');
    bench.setClock(HOUR);
    assert.deepEqual(await once(second, 'exit'), [85, null]);
    await bench.untilNothingRuns();
    const last = later.seen.findLast(isCheckpoint(1));
    assert.ok(last?.event === 'checkpoint' && last.reason === 'vacate', 'its deadline is not a date');

    // Somebody else prepares a job just now, seen from a node whose date is ahead.
    bench.setClock(3 * HOUR);
    const prepared = join(server.root, `new-${'0'.repeat(24)}`);
    mkdirSync(prepared);
    const third = bench.wrap(url, 'three', '--first', '200ms', '--every', '300ms');
    const fenced = once(third, 'exit');
    await new LiveEvents(third).until(isStarted);
    bench.setClock(-3 * HOUR);
    const fourth = bench.wrap(url, 'four', ...NEVER);
    const newest = new LiveEvents(fourth);
    const started = await newest.until(isStarted);
    assert.ok(
      started.event === 'started' && (started.resumedFrom ?? 0) >= last.sequence,
      JSON.stringify([newest.seen, last.sequence]),
    );
    assert.deepEqual(await fenced, [88, null]);
    fourth.kill('SIGHUP');
    assert.deepEqual(await once(fourth, 'exit'), [CODE, null]);
    assert.ok(existsSync(prepared), 'what is being prepared is not taken for abandoned');
    assert.equal(await store.inspect('job'), undefined);
  },
);
