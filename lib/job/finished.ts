/** A program that ended by itself while it was being evicted: its result is kept, and the next incarnation only delivers it. */

import { join } from 'node:path';
import type { ExitStatus } from '../checkpoint/types.ts';
import { JobError } from '../errors.ts';
import type { Claim, FinishedRecord, StoredCheckpoint } from '../store/types.ts';
import { EXIT_CODES, endOf, type JobEnd } from './exit-status.ts';
import type { ScratchFiles } from './scratch.ts';
import { OWN_DIRECTORY } from './scratch-owner.ts';
import type { JobStdio } from './stdio.ts';

/** Stores the result. The batch system may run the job again whatever it exits with. */
export async function leaveFinished(
  claim: Claim,
  status: ExitStatus,
  scratch: ScratchFiles,
  finished: number,
  signal: AbortSignal,
): Promise<void> {
  const record: FinishedRecord = {
    exitCode: status.exitCode,
    signal: status.signal,
    finished,
    scratch: scratch.root,
  };
  await claim.finish(record, await scratch.finalEntries(), { signal });
}

/** Lays the result out as if the program had just ended here. */
export async function deliverFinished(
  finished: FinishedRecord & { readonly stored: StoredCheckpoint },
  scratch: ScratchFiles,
  stdio: JobStdio,
): Promise<JobEnd> {
  await finished.stored.extractFiles(scratch.root);
  await stdio.layOut(finished.stored, undefined, join(scratch.root, OWN_DIRECTORY));
  if (finished.signal !== undefined) return endOf({ exitCode: undefined, signal: finished.signal as NodeJS.Signals });
  if (finished.exitCode === undefined) {
    throw new JobError('The record of the finished job says neither exit code nor signal', {
      code: 'ERR_JOB_UNRESTARTABLE',
      exitCode: EXIT_CODES.unrestartable,
    });
  }
  return endOf({ exitCode: finished.exitCode, signal: undefined });
}
