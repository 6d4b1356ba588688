/**
 * keeper-rounds STORE: one job whose keeper is killed at moments spread over a checkpoint, and which is resumed each time, from its keeper's
 * first life and from restored ones. Fails when anything of the job outlives the keeper or when the last checkpoint does not restart.
 */

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { Job } from '../../lib/job/job.ts';

const [store = '', ...command] = process.argv.slice(2);
const ROUNDS = 12;
const SPREAD_MS = 100;
const MARK = 'BLCR_FAULT_ROUND=keeper';

function marked(): string[] {
  return readdirSync('/proc').filter((name) => {
    try {
      return /^\d+$/.test(name) && readFileSync(`/proc/${name}/environ`, 'latin1').includes(MARK);
    } catch {
      return false; // it has ended
    }
  });
}

async function untilNothingRuns(told: string): Promise<void> {
  for (const deadline = Date.now() + 5000; marked().length > 0; await delay(10)) {
    assert.ok(Date.now() < deadline, `${told}: still there: ${marked().join(' ')}`);
  }
}

let stored = 0;
for (let round = 0; round < ROUNDS; round++) {
  let resumedFrom: number | undefined;
  const job = await Job.open({
    id: 'keeper',
    store,
    command: command[0] ?? '',
    args: command.slice(1),
    env: { PATH: '/usr/bin:/bin', BLCR_FAULT_ROUND: 'keeper' },
    first: '1h',
    files: 'none',
    stdio: ['ignore', 'ignore', 'ignore'],
    onEvent: (event) => {
      if (event.event === 'started') resumedFrom = event.resumedFrom;
      if (event.event === 'checkpoint') stored = event.sequence;
    },
  });
  const told = `round ${round}`;
  if (stored > 0)
    assert.ok((resumedFrom ?? 0) >= stored, `${told}: resumed from ${resumedFrom}, ${stored} was complete`);
  if (round === 0) await job.checkpoint();
  const taken = job.checkpoint().catch(() => undefined);
  await delay(((round * 5) % ROUNDS) * (SPREAD_MS / ROUNDS));
  process.kill(job.pid ?? 0, 'SIGKILL');
  const { reason, signal } = await job.done;
  assert.deepEqual([reason, signal], ['signaled', 'SIGKILL'], told);
  await taken;
  await untilNothingRuns(told);
}
console.log(`${ROUNDS} ${stored}`);
