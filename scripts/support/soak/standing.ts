/** What the processes of a life wait for, for a round that does not end. Source: proc(5), /proc/PID/task/TID/{comm,stat,wchan,syscall}. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { listDescendants } from '../../../lib/job/process-tree.ts';

/** One line per kind of thread: how many there are, name, state, where in the kernel, number of the system call. */
export function standingOf(root: number): string {
  const counts = new Map<string, number>();
  for (const pid of [root, ...listDescendants(root)])
    for (const line of threadsOf(pid)) counts.set(line, (counts.get(line) ?? 0) + 1);
  return [...counts].map(([line, count]) => `${count} x ${line}`).join('\n');
}

function threadsOf(pid: number): string[] {
  const tasks = `/proc/${pid}/task`;
  const tids = entriesOf(tasks);
  return tids.map((tid) => {
    const field = (name: string): string => textOf(join(tasks, tid, name)).trim();
    const stat = field('stat');
    const state = stat.charAt(stat.lastIndexOf(')') + 2);
    return `${field('comm')} (${tids.length} threads) ${state} ${field('wchan')} ${field('syscall').split(' ')[0]}`;
  });
}

function entriesOf(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return []; // it has ended
  }
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return ''; // it has ended, or is another user's
  }
}
