/** What this host allows, found out by doing it. */

import { execFile } from 'node:child_process';

const LIMIT_MS = 60_000;

export interface Probe {
  /** A program (with two threads where the keeper does it) was checkpointed, killed and restarted. */
  readonly ok: boolean;
  /** Why not, in words; empty when it was. */
  readonly reason: string;
  /** This user may create user namespaces. */
  readonly userNamespaces: boolean;
  readonly kernel: string;
}

/**
 * Lets the keeper checkpoint and restart a program with two threads; takes well below a second, at most 60 s. Never rejects.
 * @param keeper Path of blcr-keeper. It prints one JSON object, whatever its exit status.
 */
export function probeHost(keeper: string): Promise<Probe> {
  return new Promise((resolve) => {
    execFile(keeper, ['probe'], { timeout: LIMIT_MS, killSignal: 'SIGKILL' }, (error, stdout, stderr) => {
      try {
        resolve(JSON.parse(stdout) as Probe);
      } catch {
        const reason = stderr.trim() || error?.message || 'the keeper said nothing';
        resolve({ ok: false, reason, userNamespaces: false, kernel: '' });
      }
    });
  });
}
