/** Is this the first time that the job runs? Asked when the store, which knows, cannot be reached. */

import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readCondorJob } from '../condor/sandbox.ts';
import { OWN_DIRECTORY } from './scratch-owner.ts';

/** The end of an eviction is not left to the last second. */
const RESERVE_MS = 1000;

/** A note that the job has been started in this scratch directory. */
export const markerPath = (scratch: string, id: string): string => join(scratch, OWN_DIRECTORY, `started-${id}`);

/** Leaves that note for a later incarnation. */
export function markStarted(scratch: string, id: string): void {
  writeFileSync(markerPath(scratch, id), `${process.pid}\n`);
}

/** Why this is known to be a later run, in words; undefined when nothing says so. */
export function knownLaterRun(scratch: string, id: string, env: NodeJS.ProcessEnv): string | undefined {
  if (existsSync(markerPath(scratch, id))) return `${markerPath(scratch, id)} says that the job was started before`;
  const { runCount = 1, startCount = 0 } = readCondorJob(env) ?? {};
  if (runCount > 1) return `the job ad says that this is run ${runCount}`;
  if (startCount > 0) return `the job ad says that the job was started ${startCount} times before`;
  // Source: sbatch(1), output environment variables: set when the job has been restarted.
  const slurm = Number(env['SLURM_RESTART_COUNT'] ?? 0);
  if (slurm > 0) return `SLURM_RESTART_COUNT is ${slurm}`;
  return undefined;
}

/** Milliseconds an eviction may take according to the batch system, with a second to spare; undefined when it says nothing. */
export function batchVacateMs(env: NodeJS.ProcessEnv): number | undefined {
  const limit = readCondorJob(env)?.vacateMs;
  return limit === undefined ? undefined : Math.max(RESERVE_MS, limit - RESERVE_MS);
}

/** Whether somebody else than a person may kill this job as a whole. */
export const isBatchJob = (env: NodeJS.ProcessEnv): boolean =>
  env['_CONDOR_JOB_AD'] !== undefined || env['SLURM_JOB_ID'] !== undefined;

/** The job's name in the batch system, undefined outside of one. */
export const batchJobId = (env: NodeJS.ProcessEnv): string | undefined => readCondorJob(env)?.globalJobId;
