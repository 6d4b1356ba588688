/** Whether a file can be told from what it may be later by its status alone. */

import type { TreeFile } from './tree.ts';

/**
 * A file written shortly before it was looked at may be written again without its time stamp changing: within a tick of the kernel's clock,
 * or within the second (FAT: two) that some file systems round to.
 */
const TICK_NS = 50_000_000n;
const ROUNDED_NS = 2_000_000_000n;

/**
 * Whether any later change of the file shows in its time stamp. The time of the last change of its status decides where it is known: HTCondor
 * gives every file it transfers the second of the transfer for a date, whatever the file system could tell.
 * @param sinceNs Before it was looked at, nanoseconds by the clock of its file system.
 */
export function isSettled({ kind, mtimeNs, changedNs = mtimeNs }: TreeFile, sinceNs: bigint): boolean {
  const changed = BigInt(changedNs);
  const granularity = changed % 1_000_000_000n === 0n ? ROUNDED_NS : TICK_NS;
  return kind !== 'file' || changed + granularity < sinceNs;
}
