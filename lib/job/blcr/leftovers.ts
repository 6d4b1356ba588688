/**
 * What an incarnation that was killed leaves on a node with genuine BLCR: its programs, which have no lifeline, hold the process ids that the
 * next incarnation needs, and go on writing into the directory of the job.
 */
import { readFileSync, statSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { trySignal } from '../process-tree.ts';

/** In the environment of every program of a job: the job's directory. */
export const JOB_MARK = '_BLCR_JOB_DIRECTORY';

const LOOKS = 50;
const LOOK_AGAIN_MS = 20;

/**
 * Kills the processes below 1..pid_max that carry the mark of this directory. Numbers are tried one by one, because processes that BLCR has
 * restored are not listed in /proc.
 * @returns how many were killed.
 */
export async function killLeftovers(directory: string): Promise<number> {
  let killed = 0;
  for (let look = 0; look < LOOKS; look++) {
    const found = findMarked(directory);
    killed = Math.max(killed, found.length);
    if (found.length === 0) break;
    for (const pid of found) trySignal(pid, 'SIGKILL');
    await delay(LOOK_AGAIN_MS);
  }
  return killed;
}

function findMarked(directory: string): number[] {
  const most = Number(readFileSync('/proc/sys/kernel/pid_max', 'latin1'));
  const wanted = `${JOB_MARK}=${directory}`;
  const found: number[] = [];
  for (let pid = 2; pid <= most; pid++) {
    const exists = statSync(`/proc/${pid}`, { throwIfNoEntry: false }) !== undefined;
    if (exists && pid !== process.pid && hasVariable(pid, wanted)) found.push(pid);
  }
  return found;
}

function hasVariable(pid: number, wanted: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0').includes(wanted);
  } catch {
    return false; // it has just ended, or is another user's
  }
}
