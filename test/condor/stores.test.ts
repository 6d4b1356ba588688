/** Stores that are slow, or away, seen by jobs in a pool. */

import assert from 'node:assert/strict';
import { describe } from 'node:test';
import type { JobEvent } from '../../lib/job/events.ts';
import { ChirpServer } from '../support/chirp-server.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';
import { inPool } from './bench.ts';

const VACATE_SECONDS = 20;
const isStored = (event: JobEvent): boolean => event.event === 'checkpoint';
const isResumed = (event: JobEvent): boolean => event.event === 'started' && event.resumedFrom !== undefined;
const isWarning =
  (code: string) =>
  (event: JobEvent): boolean =>
    event.event === 'warning' && event.code === code;

describe('stores of jobs in a pool', { timeout: 115_000, concurrency: 2 }, () => {
  const scenario = inPool({ slots: 1 });

  scenario(
    'too slow for an eviction: given up early, the slot is free, the checkpoint before is good',
    async (bench) => {
      await using proxy = await TcpProxy.start(bench.chirp);
      // All of its memory is new at each step, so that each checkpoint is as large as the first.
      const program =
        'open F, "</dev/urandom"; $| = 1;' +
        'for my $step (1..80) { sysread F, my $m, 30_000_000; print "$step\\n"; select undef, undef, undef, 0.1 }';
      const store = `chirp://${proxy.host}:${proxy.port}/`;
      const job = await bench.submit('slow', {
        arguments: ['run', '--store', store, '--first', '1s', '--every', '1h', '--', '/usr/bin/perl', '-e', program],
        lines: [`job_max_vacate_time = ${VACATE_SECONDS}`],
      });
      await bench.untilEvent(job, isStored);
      proxy.throttle(100_000);
      const begun = Date.now();
      await job.command('condor_vacate_job');
      await job.until('evicted');
      const seconds = (Date.now() - begun) / 1000;
      assert.ok(seconds < VACATE_SECONDS * 0.75, `it took ${seconds} s`);
      proxy.throttle(1e9);
      const started = await bench.untilEvent(job, isResumed);
      assert.ok(started.event === 'started' && started.resumedFrom === 1);
      await job.until('terminated');
      assert.equal(job.read('out'), Array.from({ length: 80 }, (_, step) => `${step + 1}\n`).join(''));
      assert.deepEqual(await job.history('ExitCode', 'NumShadowStarts'), ['0', '2']);
    },
  );

  scenario(
    'away at the start and later: the job begins, waits for it when it has checkpoints, goes on',
    async (bench) => {
      await using server = await ChirpServer.start();
      await server.kill();
      const script = 'i=0; while [ $i -lt 90 ]; do echo step $i; i=$((i+1)); sleep 0.1; done';
      const store = `chirp://${server.host}:${server.port}/`;
      const often = ['--first', '1s', '--every', '1s', '--store-wait', '3s'];
      const job = await bench.submit('away', {
        arguments: ['run', '--store', store, ...often, '--', '/bin/sh', '-c', script],
      });
      await bench.untilEvent(job, isWarning('ERR_STORE_UNREACHABLE'));
      await bench.untilEvent(job, (event) => event.event === 'started');
      await server.restart();
      await bench.untilEvent(job, isStored);
      await server.kill();
      await job.command('condor_vacate_job', '-fast');
      await job.until('executing', 2);
      await bench.untilEvent(job, isWarning('ERR_STORE_UNREACHABLE'));
      // Its patience is over: exit code 75, and it is run again.
      await job.until('executing', 3);
      await server.restart();
      await bench.untilEvent(job, isResumed);
      await job.until('terminated');
      assert.equal(job.read('out'), Array.from({ length: 90 }, (_, step) => `step ${step}\n`).join(''));
      const [code, starts] = await job.history('ExitCode', 'NumShadowStarts');
      assert.equal(code, '0');
      assert.ok(Number(starts) >= 3);
    },
  );
});
