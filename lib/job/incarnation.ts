/** Is this the first time that the job runs? Asked when the store, which knows, cannot be reached. */

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { OWN_DIRECTORY } from './scratch.ts';

/** A note that the job has been started in this scratch directory. */
export const markerPath = (scratch: string, id: string): string => join(scratch, OWN_DIRECTORY, `started-${id}`);

/** Leaves that note for a later incarnation. */
export function markStarted(scratch: string, id: string): void {
  writeFileSync(markerPath(scratch, id), `${process.pid}\n`);
}

/** Why this is known to be a later run, in words; undefined when nothing says so. */
export function knownLaterRun(scratch: string, id: string, env: NodeJS.ProcessEnv): string | undefined {
  if (exists(markerPath(scratch, id))) return `${markerPath(scratch, id)} says that the job was started before`;
  // Source: HTCondor manual, job ClassAd attributes: JobRunCount counts this run, NumJobStarts those before it.
  const ad = readJobAd(env);
  const runs = Number(ad.get('JobRunCount') ?? 1);
  const starts = Number(ad.get('NumJobStarts') ?? 0);
  if (runs > 1) return `the job ad says that this is run ${runs}`;
  if (starts > 0) return `the job ad says that the job was started ${starts} times before`;
  // Source: sbatch(1), output environment variables: set when the job has been restarted.
  const slurm = Number(env['SLURM_RESTART_COUNT'] ?? 0);
  if (slurm > 0) return `SLURM_RESTART_COUNT is ${slurm}`;
  return undefined;
}

/** Milliseconds an eviction may take according to the batch system, with a second to spare; undefined when it says nothing. */
export function batchVacateMs(env: NodeJS.ProcessEnv): number | undefined {
  const job = readSeconds(readJobAd(env).get('JobMaxVacateTime'));
  const machine = readSeconds(readAd(env['_CONDOR_MACHINE_AD']).get('MachineMaxVacateTime'));
  const known = [job, machine].filter((seconds) => seconds !== undefined);
  return known.length === 0 ? undefined : Math.max(1, Math.min(...known) - 1) * 1000;
}

/** The job's name in the batch system, undefined outside of one. */
export function batchJobId(env: NodeJS.ProcessEnv): string | undefined {
  const quoted = readJobAd(env).get('GlobalJobId');
  return quoted === undefined ? undefined : /^"(.*)"$/.exec(quoted)?.[1];
}

/** Seconds, where the ad may have a product such as `10 * 60`; undefined for any other expression. */
function readSeconds(expression: string | undefined): number | undefined {
  if (expression === undefined || !/^\d+(\s*\*\s*\d+)*$/.test(expression)) return undefined;
  return expression.split('*').reduce((product, factor) => product * Number(factor), 1);
}

const readJobAd = (env: NodeJS.ProcessEnv): ReadonlyMap<string, string> => readAd(env['_CONDOR_JOB_AD']);

/** A ClassAd in its line form, `Name = expression`. */
function readAd(path: string | undefined): ReadonlyMap<string, string> {
  const attributes = new Map<string, string>();
  if (path === undefined || !exists(path)) return attributes;
  for (const line of readFileSync(path, 'utf8').split('\n')) {
    const match = /^(\w+)\s*=\s*(.*)$/.exec(line.trim());
    if (match?.[1] !== undefined && match[2] !== undefined) attributes.set(match[1], match[2]);
  }
  return attributes;
}

function exists(path: string): boolean {
  try {
    readFileSync(path);
    return true;
  } catch {
    return false; // also when it cannot be read: then it tells us nothing
  }
}
