/** What becomes of the store when the program has ended by itself. */

import { rmSync } from 'node:fs';
import type { ExitStatus } from '../checkpoint/types.ts';
import type { Claim } from '../store/types.ts';
import { sleep } from '../util/clock.ts';
import { errorCode, errorMessage } from '../util/error-facts.ts';
import { leaveFinished } from './finished.ts';
import { isBatchJob, markerPath } from './incarnation.ts';
import type { Session } from './session.ts';

/**
 * A batch system that kills a whole job takes its processes one by one, the youngest first: a shell may see its child die, and end with 137 as if
 * of its own accord, while this process still lives. Who is there after this time was not to be killed.
 */
const KILL_SPREE_MS = 300;

/**
 * Cleans the store, or leaves the result there when the batch system is going to run the job again. Checkpoints stay when the program was
 * killed with SIGKILL, because that was not its own doing: out of memory, or a node going down. Where nothing is left to go on from, the note
 * that the job was started goes, too. Never throws: what cannot be done is reported, and the program's own result stands.
 * @param claim undefined when the store was never reached.
 * @param patienceMs The result does not wait longer than this for the store.
 */
export async function settle(
  session: Session,
  claim: Claim | undefined,
  status: ExitStatus,
  isVacating: boolean,
  patienceMs: number,
): Promise<void> {
  const { clock, events, scratch, options } = session;
  const limit = new AbortController();
  const isLost = status.signal === 'SIGKILL';
  const work = async (): Promise<void> => {
    if (claim === undefined || isLost) return;
    if (status.exitCode !== 0 && isBatchJob(options.env)) await sleep(clock, KILL_SPREE_MS, limit.signal);
    if (isVacating) await leaveFinished(claim, status, scratch, clock.wallTime(), limit.signal);
    else await claim.remove({ signal: limit.signal });
  };
  const tooLong = sleep(clock, patienceMs, limit.signal).then(() => {
    throw new Error(`the store did not answer within ${(patienceMs / 1000).toFixed(1)} s`);
  });
  tooLong.catch(() => undefined); // aborted below
  try {
    await Promise.race([work(), tooLong]);
    const isOver = !isVacating && (claim === undefined || !isLost);
    if (isOver) rmSync(markerPath(session.home, options.id), { force: true });
  } catch (error) {
    const what = isVacating
      ? 'the result could not be left in the store'
      : 'its checkpoints could not be removed from the store';
    events.emit('warning', { code: errorCode(error), message: errorMessage(error), consequence: what, error });
  } finally {
    limit.abort();
  }
}
