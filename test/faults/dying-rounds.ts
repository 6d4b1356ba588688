/**
 * dying-rounds VICTIM STORE: jobs that end while they are being checkpointed, at moments spread over the checkpoint. Prints how many checkpoints
 * were complete and how many were not; fails when a job's own end is not what is reported.
 */

import assert from 'node:assert/strict';
import { constants } from 'node:os';
import { Job } from '../../lib/job/job.ts';
import { listDescendants, trySignal } from '../../lib/job/process-tree.ts';
import { errorCode } from '../../lib/util/error-facts.ts';

const [victim = '', store = ''] = process.argv.slice(2);
const ROUNDS = 30;
/** Time from the request to the last moment tried: longer than a checkpoint takes. Most moments are early, where the program stands still. */
const SPREAD_MS = 400;

interface Round {
  readonly how: string;
  readonly expected: { readonly exitCode?: number; readonly signal?: string };
  /** Sent from outside instead. */
  readonly kill?: NodeJS.Signals;
}

function roundOf(index: number): Round {
  const status = (index * 7) % 80;
  switch (index % 4) {
    case 0:
      return { how: `exit ${status}`, expected: { exitCode: status } };
    case 1:
      return { how: `signal ${constants.signals.SIGSEGV}`, expected: { signal: 'SIGSEGV' } };
    case 2:
      return { how: 'exit 1', kill: 'SIGKILL', expected: { signal: 'SIGKILL' } };
    default:
      return { how: 'exit 1', kill: 'SIGUSR1', expected: { signal: 'SIGUSR1' } };
  }
}

async function play(index: number): Promise<boolean> {
  const { how, expected, kill } = roundOf(index);
  const afterMs = SPREAD_MS * (((index * 37) % ROUNDS) / ROUNDS) ** 2;
  const when = kill === undefined ? Date.now() + 150 + afterMs : Date.now() + 60_000;
  const args = ['die', how, String(Math.round(when * 1000)), '2000', String(1 + (index % 3))];
  const job = await Job.open({
    id: `dying-${index}`,
    store,
    command: victim,
    args,
    first: '1h',
    files: 'none',
    stdio: ['ignore', 'ignore', 'ignore'],
  });
  const wait = kill === undefined ? Math.max(0, when - Date.now() - afterMs) : 50;
  await new Promise((resolve) => setTimeout(resolve, wait));
  const taken = job.checkpoint().then(
    () => true,
    (error: unknown) => {
      assert.match(errorCode(error), /^(E[A-Z]+|CR_[A-Z]+|ERR_(JOB|STORE)_[A-Z_]+|ABORT_ERR)$/);
      return false;
    },
  );
  if (kill !== undefined) {
    const [root = 0] = listDescendants(job.pid ?? 0);
    // Twice for certain after its end, however slow this machine is.
    if (index === 2 || index === 11) await taken;
    else await new Promise((resolve) => setTimeout(resolve, afterMs));
    trySignal(root, kill);
  }
  const { reason, exitCode, signal } = await job.done;
  const told = `round ${index}, ${kill ?? how} ${afterMs} ms`;
  assert.equal(reason, expected.signal === undefined ? 'exited' : 'signaled', told);
  assert.deepEqual({ exitCode, signal }, { exitCode: undefined, signal: undefined, ...expected }, told);
  return await taken;
}

let complete = 0;
for (let index = 0; index < ROUNDS; index++) complete += (await play(index)) ? 1 : 0;
console.log(`${complete} ${ROUNDS - complete}`);
