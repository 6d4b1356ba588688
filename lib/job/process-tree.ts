/** The processes below a process, and what names one, from /proc. Source: proc(5), /proc/PID/stat fields 1, 2, 4 and 22. */

import { readdirSync, readFileSync } from 'node:fs';

/** Fields of /proc/PID/stat from the third on; undefined when the process is gone. Field 2 may hold blanks and parentheses: the last `)` ends it. */
function readStat(pid: number): readonly string[] | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  } catch {
    return undefined; // it ended between the listing and the look
  }
}

/** Process id and start time, which together name one process of this boot; undefined when there is none of that number. */
export function processIdentity(pid: number): string | undefined {
  const stat = readStat(pid);
  return stat === undefined ? undefined : `${pid} ${stat[19]}`;
}

/** Pids of all descendants of `root`, parents before children, without `root`. Not atomic: what forks meanwhile may be missing. */
export function listDescendants(root: number): number[] {
  const children = new Map<number, number[]>();
  for (const name of readdirSync('/proc')) {
    const pid = Number(name);
    if (!Number.isInteger(pid) || pid <= 0) continue;
    const stat = readStat(pid);
    if (stat === undefined) continue;
    const parent = Number(stat[1]);
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
