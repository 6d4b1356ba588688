/** How a job ends, and the numbers by which a batch system is told. */

import type { ExitStatus } from '../checkpoint/types.ts';

export interface JobEnd {
  /**
   * `exited` and `signaled`: the program ended by itself. `vacated`: it was stopped for an eviction; run it again. `fenced`: a newer
   * incarnation of this job runs elsewhere, so this one was stopped.
   */
  readonly reason: 'exited' | 'signaled' | 'vacated' | 'fenced';
  readonly exitCode: number | undefined;
  readonly signal: string | undefined;
}

/** Exit codes of the command line. sysexits.h where it has a name for it (64 EX_USAGE, 75 EX_TEMPFAIL); 85 is HTCondor's custom. */
export const EXIT_CODES = {
  usage: 64,
  internal: 70,
  /** This node or store cannot do it now: try another one, or later. Nothing was deleted. */
  temporary: 75,
  /** Evicted: run me again. `--requeue-code` picks another number. */
  requeue: 85,
  /** There are checkpoints, and none of them can be restarted. */
  unrestartable: 86,
  /** The program itself exited with the number that means "run me again". */
  collision: 87,
  fenced: 88,
} as const;

export function endOf(status: ExitStatus): JobEnd {
  return status.signal === undefined
    ? { reason: 'exited', exitCode: status.exitCode, signal: undefined }
    : { reason: 'signaled', exitCode: undefined, signal: status.signal };
}

/** The number that a program's own `requeueCode` is turned into: 87, or 89 when 87 is the requeue code itself. */
export function collisionCode(requeueCode: number): number {
  return requeueCode === EXIT_CODES.collision ? 89 : EXIT_CODES.collision;
}

export type ProcessEnd =
  | { readonly kind: 'code'; readonly code: number; readonly collision: boolean }
  | { readonly kind: 'signal'; readonly signal: string };

/** What the wrapper's own process does at the end: exit with a number, or die of the signal that its program died of. */
export function processEnd(end: JobEnd, requeueCode: number): ProcessEnd {
  switch (end.reason) {
    case 'vacated':
      return { kind: 'code', code: requeueCode, collision: false };
    case 'fenced':
      return { kind: 'code', code: EXIT_CODES.fenced, collision: false };
    case 'signaled':
      return { kind: 'signal', signal: end.signal ?? 'SIGKILL' };
    case 'exited': {
      const collision = end.exitCode === requeueCode;
      return { kind: 'code', code: collision ? collisionCode(requeueCode) : (end.exitCode ?? 0), collision };
    }
  }
}
