/**
 * Signals to a job under genuine BLCR. Processes that BLCR restored are not listed in /proc (they can be named, not found), so the job's
 * process group is signalled first, and then whatever descendants are visible. Source: docs/libcr.md.
 */
import type { ExitStatus } from '../../checkpoint/types.ts';
import type { RunningProcess } from '../engine.ts';
import { processOf } from '../launch.ts';
import { listDescendants, trySignal } from '../process-tree.ts';

/** Sends a signal to the group that `root` leads and to its other descendants, which are listed first: they lose their parent with a kill. */
export function signalTree(root: number, signal: NodeJS.Signals): void {
  const members = listDescendants(root);
  trySignal(-root, signal);
  // A group is no group when the root did not become its leader; a second SIGCONT or SIGSTOP does no harm.
  for (const member of [root, ...members]) trySignal(member, signal);
}

/** A job whose root is our child, and the leader of its own group and session. */
export function runningTree(pid: number, exit: Promise<ExitStatus>): RunningProcess {
  return processOf(pid, exit, { signal: signalTree, kill: (root) => signalTree(root, 'SIGKILL') });
}
