/** What HTCondor tells a job that runs: the ads and files in its sandbox. */

import { constants } from 'node:os';
import { Ad } from './ad.ts';

export interface CondorJob {
  /** `schedd#cluster.proc#time`: the same at every start of a job, and no other job's. */
  readonly globalJobId: string | undefined;
  /** 1 for the first run of the job; counts in this cluster only. */
  readonly runCount: number;
  /** Runs before this one. */
  readonly startCount: number;
  /** The signal by which HTCondor asks the job to leave. */
  readonly vacateSignal: NodeJS.Signals;
  /** Milliseconds between that signal and the end, undefined when neither ad has a number. */
  readonly vacateMs: number | undefined;
  /** What the job may use, in bytes: asked for, and what the slot has. Only those that the ad knows as numbers. */
  readonly memoryLimits: readonly number[];
  /** The exit code by which the job says that it has left a checkpoint of its own in its sandbox. */
  readonly checkpointExitCode: number | undefined;
  /** What the starter then carries to the submit machine, and brings to the next node. */
  readonly checkpointFiles: readonly string[];
}

/** What is known of this job; undefined outside of HTCondor. */
export function readCondorJob(env: NodeJS.ProcessEnv): CondorJob | undefined {
  const job = Ad.read(env['_CONDOR_JOB_AD']);
  if (job.isEmpty) return undefined;
  return {
    globalJobId: job.text('GlobalJobId'),
    runCount: job.integer('JobRunCount') ?? 1,
    startCount: job.integer('NumJobStarts') ?? 0,
    // Once set, the signal for removing a job is sent for every other reason as well. Source: condor_starter, OsProc::ShutdownGraceful.
    vacateSignal: readSignal(job, 'RemoveKillSig') ?? readSignal(job, 'KillSig') ?? 'SIGTERM',
    memoryLimits: ['RequestMemory', 'MemoryProvisioned'].flatMap((name) => {
      const megabytes = job.integer(name);
      return megabytes === undefined ? [] : [megabytes * MEGABYTE];
    }),
    checkpointExitCode: job.integer('SuccessCheckpointExitCode'),
    checkpointFiles: (job.text('TransferCheckpoint') ?? '').split(',').flatMap((name) => name.trim() || []),
    vacateMs: readVacateMs(job, Ad.read(env['_CONDOR_MACHINE_AD'])),
  };
}

const MEGABYTE = 1024 * 1024;

/** The smaller one wins. Source: HTCondor manual, MachineMaxVacateTime and job_max_vacate_time. */
function readVacateMs(job: Ad, machine: Ad): number | undefined {
  const limits = [job.integer('JobMaxVacateTime'), machine.integer('MachineMaxVacateTime')];
  const known = limits.filter((seconds) => seconds !== undefined);
  return known.length === 0 ? undefined : Math.min(...known) * 1000;
}

/** Submit files may have a name, with or without SIG, or a number. */
function readSignal(job: Ad, attribute: string): NodeJS.Signals | undefined {
  const text = job.text(attribute)?.toUpperCase();
  const number = text !== undefined && /^\d+$/.test(text) ? Number(text) : job.integer(attribute);
  const names = Object.keys(constants.signals) as NodeJS.Signals[];
  if (number !== undefined) return names.find((name) => constants.signals[name] === number);
  return names.find((name) => name === text || name === `SIG${text}`);
}

/** Names at the top of a sandbox that are HTCondor's, new at every start. */
const OWN_FILES = /^(\.(job|machine|update|execution_overlay)\.ad|\.chirp\.config|\.condor_.*|_condor_.*|\.docker_.*)$/;

/** Whether a path below the sandbox is HTCondor's own, and no more part of the job than the machine is. */
export const isSandboxFile = (path: string): boolean => OWN_FILES.test(path);

/**
 * The directory in which an execute node keeps its sandboxes, given one of them (`…/dir_4711`, since HTCondor 25 `…/dir_4711/scratch`);
 * undefined when the path is not like that.
 */
export const sandboxHome = (sandbox: string): string | undefined => /^(\/.+)\/dir_\d+(\/scratch)?$/.exec(sandbox)?.[1];
