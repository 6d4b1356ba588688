/** Errors for people, as one block: what happened, why, what to do, and the code to search for. */

import { BlcrError, CheckpointError, RestartError } from '../errors.ts';
import { errorCode, errorMessage } from '../util/error-facts.ts';

/** What to do, by code. Errors whose message says so already are not listed. */
const ADVICE: Readonly<Record<string, string>> = {
  ERR_JOB_SHARED:
    'start each job in a directory of its own, or name one with --scratch; with --files none for both they may share it',
  ERR_JOB_CHANGED: 'undo the change, or run with --accept-changed, or start over with --fresh',
  ERR_JOB_NODE: "run it on another node; 'blcr doctor' tells what this one lacks",
  ERR_JOB_STORE: 'run it again when the store answers; --store-wait says how long to wait for it',
  ERR_JOB_UNRESTARTABLE: "look at them with 'blcr verify', or start over with --fresh",
  ERR_JOB_NOT_FOUND: 'give the path of the program, or set PATH',
  ERR_JOB_BLIND_START: 'run it again: it will go on from its newest checkpoint',
  ERR_STORE_FENCED: 'nothing: a newer run of this job goes on',
  ERR_LIBCR_NOT_FOUND: 'build the native parts (npm run build), or set NODE_BLCR_LIBCR to a libcr.so.0',
  ERR_NATIVE_LOAD: 'build the native parts (npm run build)',
  ESRCH: 'check the process id: the process has ended',
  EPERM: 'only your own processes can be checkpointed or restarted',
};

/**
 * @param what What did not work, such as `blcr run`.
 * @param usage Shown as well for wrong arguments.
 */
export function formatError(what: string, error: unknown, usage?: string): string {
  const [summary = '', ...details] = errorMessage(error).split('\n');
  const log = error instanceof CheckpointError || error instanceof RestartError ? error.log.trim() : '';
  const isLogShown = log === '' || errorMessage(error).includes(log);
  const lines = [
    `${what}: ${summary}`,
    ...details.map((line) => `  ${line}`),
    ...(isLogShown ? [] : log.split('\n').map((line) => `  ${line}`)),
  ];
  const advice = ADVICE[errorCode(error)];
  if (advice !== undefined) lines.push(`  do:   ${advice}`);
  lines.push(`  code: ${errorCode(error)}`);
  if (usage !== undefined) lines.push('', `usage: ${usage}`);
  if (!(error instanceof BlcrError) && error instanceof Error && error.stack !== undefined) lines.push(error.stack);
  return `${lines.join('\n')}\n`;
}
