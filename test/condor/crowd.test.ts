/** Many short jobs, few slots, one Chirp server, and evictions of all that run at the same moment. */

import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { inPool } from './bench.ts';

const JOBS = 50;
const STEPS = 4;
const EVICTIONS = 3;

describe('a crowd', { timeout: 115_000 }, () => {
  const scenario = inPool({ slots: 2 });

  scenario('fifty jobs on four slots: each ends as if it had never been evicted', async (bench) => {
    const script = `i=0; while [ $i -lt ${STEPS} ]; do echo step $i; i=$((i+1)); sleep 0.1; done; exit 7`;
    const job = await bench.submit('crowd', {
      arguments: bench.classic('0.4s', ['/bin/sh', '-c', script]),
      lines: ['output = out.$(Process)', 'error = err.$(Process)', `queue ${JOBS - 1}`],
    });
    const [cluster = ''] = job.id.split('.');
    for (let round = 1; round <= EVICTIONS; round += 1) {
      await job.until('executing', 4 * round);
      await sleep(700);
      await bench.pool.run('condor_vacate_job', [cluster]);
    }
    await job.until('terminated', JOBS);
    const expected = Array.from({ length: STEPS }, (_, step) => `step ${step}\n`).join('');
    for (let process = 0; process < JOBS; process += 1) {
      assert.equal(job.read(`out.${process}`), expected, `job ${process}`);
      assert.equal(job.read(`err.${process}`), '', `job ${process}`);
    }
    assert.ok(job.count('evicted') > 0);
    const codes = await bench.pool.run('condor_history', [cluster, '-af', 'ExitCode']);
    assert.equal(codes, '7\n'.repeat(JOBS));
    assert.deepEqual(await bench.stored(), []);
  });
});
