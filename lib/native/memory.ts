/** Memory back to the system at a moment that suits, for a process that then sits idle for an hour. */
import { readFileSync } from 'node:fs';
import { collectGarbage } from '../util/garbage.ts';
import { loadNative } from './load.ts';

/** Of x86_64, the one architecture there is. */
const PAGE_BYTES = 4096;

/** What was resident of files when this process last worked. */
let workingBytes = 0;

export interface ResidentSize {
  readonly bytes: number;
  /** The part of it that files have as well, or that is shared memory. */
  readonly sharedBytes: number;
}

/** Zeroes for a process that is gone. Source: proc_pid_statm(5), second and third field. */
export function residentSize(pid: number): ResidentSize {
  try {
    const [, resident, shared] = readFileSync(`/proc/${pid}/statm`, 'latin1').split(' ', 3);
    return { bytes: Number(resident) * PAGE_BYTES, sharedBytes: Number(shared) * PAGE_BYTES };
  } catch {
    return { bytes: 0, sharedBytes: 0 };
  }
}

/** Resident bytes of this process when it works: with the code that releaseMemory() has given back, which the next checkpoint brings. */
export function workingSize(): number {
  const { bytes, sharedBytes } = residentSize(process.pid);
  return bytes + Math.max(0, workingBytes - sharedBytes);
}

/** Collects all garbage, empties the C library's heap and forgets code that was read from files, which stops this thread for some milliseconds. */
export function releaseMemory(): void {
  collectGarbage();
  workingBytes = Math.max(workingBytes, residentSize(process.pid).sharedBytes);
  loadNative().trimMemory();
}
