/** What the schedds of a pool have in their queues. Asks HTCondor's own programs, found through PATH. */

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);
const LIMIT_MS = 60_000;

/** `alice@host_15.0_1795345176`: the GlobalJobId of a job, its `#` being `_` as in the names of jobs in a store. */
const JOB_NAME = /^(.+)_\d+\.\d+_\d+$/;

/** The schedd that a job of a store belongs to; undefined when its name is not a GlobalJobId. */
export const scheddOf = (jobName: string): string | undefined => JOB_NAME.exec(jobName)?.[1];

/**
 * Names of all jobs in a schedd's queue, whatever their state, as a store has them.
 * @throws when the schedd cannot be asked: then nothing is known of its jobs.
 */
export async function listQueue(schedd: string): Promise<ReadonlySet<string>> {
  const { stdout } = await run('condor_q', ['-name', schedd, '-allusers', '-af', 'GlobalJobId'], {
    timeout: LIMIT_MS,
    maxBuffer: 1 << 28,
  });
  const names = stdout.split('\n').filter((line) => line !== '');
  const strange = names.find((name) => !name.includes('#'));
  if (strange !== undefined) throw new Error(`condor_q answered ${JSON.stringify(strange)} for a GlobalJobId`);
  return new Set(names.map((name) => name.replaceAll('#', '_')));
}
