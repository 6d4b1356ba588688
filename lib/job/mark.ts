/**
 * A variable in the environment by which the processes of a job are found again when the keeper, their ancestor, was killed and could not end
 * them: children inherit it, whatever session or parent they have since. A program that clears its environment is not found.
 * Source: proc(5), /proc/PID/environ; HTCondor knows the processes of a job by such variables too.
 */

import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { trySignal } from './process-tree.ts';

/** A name of its own for every launch, so that a job inside a job carries the marks of both. */
export function newMark(): string {
  return `_BLCR_ANCESTOR_${randomBytes(8).toString('hex')}`;
}

/** What forks while it is looked for is found by the next look; a job that always outruns us is left after this many. */
const ROUNDS = 50;

/**
 * Kills every process of this process's pid namespace that carries the mark. A restarted job carries the marks of the one that it was
 * checkpointed from, and may be a newer incarnation on this very node: it lives in a namespace of its own, and ends with its keeper.
 */
export function killMarked(mark: string): void {
  const own = namespaceOf('self');
  for (let round = 0; round < ROUNDS; round++) {
    const killed = readdirSync('/proc').filter(
      (name) => hasMark(name, mark) && namespaceOf(name) === own && trySignal(Number(name), 'SIGKILL'),
    );
    if (killed.length === 0) return;
  }
}

/** False for processes of others, for those that have ended, and for this one. */
function hasMark(name: string, mark: string): boolean {
  if (!/^\d+$/.test(name) || Number(name) === process.pid) return false;
  try {
    return readFileSync(`/proc/${name}/environ`, 'latin1').split('\0').includes(`${mark}=1`);
  } catch {
    return false; // another user's, or gone
  }
}

function namespaceOf(name: string): string | undefined {
  try {
    return readlinkSync(`/proc/${name}/ns/pid`);
  } catch {
    return undefined; // gone, or in a user namespace of its own
  }
}
