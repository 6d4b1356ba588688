/**
 * Pools without memory cgroups add up the resident sizes of a job's processes: a forked copy counts in full, although it shares its pages, and
 * may take the job over what it has asked for. Source: HTCondor manual, MemoryUsage and ResidentSetSize.
 */

import { readCondorJob } from '../condor/sandbox.ts';
import { residentSize, workingSize } from '../native/memory.ts';
import { listDescendants } from './process-tree.ts';

export type Snapshot = 'auto' | 'fork' | 'plain';

export interface MemoryPlan {
  readonly snapshot: Snapshot;
  /** What an upload may keep in memory; undefined = as much as it likes. */
  readonly bufferBytes: number | undefined;
  /** Asked while a copy is there: has the job outgrown the limit that it kept when the copy was planned? undefined = there is none to keep. */
  readonly isOver: (() => boolean) | undefined;
}

/** How to take a checkpoint now without leaving the limits of the batch system that the job keeps. @param asked `fork` stays. */
export function planMemory(env: NodeJS.ProcessEnv, asked: Snapshot): MemoryPlan {
  const limits = readCondorJob(env)?.memoryLimits ?? [];
  const program = limits.length === 0 ? 0 : programBytes();
  const now = workingSize() + program;
  const limit = Math.min(...limits.filter((candidate) => candidate >= now));
  if (!Number.isFinite(limit)) return { snapshot: asked, bufferBytes: undefined, isOver: undefined };
  const room = limit - now;
  const isCopied = asked === 'fork' || (asked === 'auto' && program <= room);
  const rest = Math.max(0, room - (isCopied ? program : 0));
  const isOver = (): boolean => workingSize() + programBytes() > limit;
  return {
    snapshot: isCopied ? asked : 'plain',
    // The other half is for everything else that a checkpoint makes this process do.
    bufferBytes: Math.floor(rest / 2),
    isOver: isCopied && asked === 'auto' ? isOver : undefined,
  };
}

/** Copies of the program included, as the batch system counts them. */
const programBytes = (): number => listDescendants(process.pid).reduce((sum, pid) => sum + residentSize(pid).bytes, 0);
