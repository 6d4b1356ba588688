/** The processes below a process, from /proc. Source: proc(5), /proc/PID/stat fields 1, 2 and 4. */

import { readdirSync, readFileSync } from 'node:fs';

/** Parent's pid, or undefined when the process is gone. The name in field 2 may hold blanks and parentheses: the last `)` ends it. */
function readParent(pid: number): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ', 2)[1]);
  } catch {
    return undefined; // it ended between the listing and the look
  }
}

/** Pids of all descendants of `root`, parents before children, without `root`. Not atomic: what forks meanwhile may be missing. */
export function listDescendants(root: number): number[] {
  const children = new Map<number, number[]>();
  for (const name of readdirSync('/proc')) {
    const pid = Number(name);
    if (!Number.isInteger(pid) || pid <= 0) continue;
    const parent = readParent(pid);
    if (parent === undefined) continue;
    const siblings = children.get(parent);
    if (siblings === undefined) children.set(parent, [pid]);
    else siblings.push(pid);
  }
  const found: number[] = [];
  const queue = [root];
  for (let pid = queue.shift(); pid !== undefined; pid = queue.shift()) {
    const below = children.get(pid) ?? [];
    found.push(...below);
    queue.push(...below);
  }
  return found;
}

/** Sends a signal; false when the process is gone or not ours. */
export function trySignal(pid: number, signal: NodeJS.Signals): boolean {
  try {
    process.kill(pid, signal);
    return true;
  } catch {
    return false; // ESRCH: it ended by itself; EPERM: the number belongs to somebody else by now
  }
}
