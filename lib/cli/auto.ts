/** `blcr_wrapper --auto`: HTCondor's USER_JOB_WRAPPER for a whole pool. A job that cannot be wrapped runs as if nobody had been here. */

import { spawn } from 'node:child_process';
import { judgePoolJob, type Verdict } from '../condor/pool-job.ts';
import { findProxy, logLine, tellProxy } from '../condor/proxy.ts';
import { JobError, UsageError } from '../errors.ts';
import type { ProcessEnd } from '../job/exit-status.ts';
import { errorMessage } from '../util/error-facts.ts';
import type { Command } from './command.ts';
import { exitWith } from './exit.ts';
import { runCommand } from './run.ts';
import { handleSignals } from './signals.ts';

export const autoCommand: Command = {
  name: 'blcr_wrapper --auto',
  summary: 'wrap the jobs of a pool',
  usage: `blcr_wrapper --auto program [args…]

For a script that HTCondor's USER_JOB_WRAPPER names. Wraps vanilla jobs with +BlcrStore in their ad (or all, when $BLCR_STORE is set) whose
on_exit_remove knows 85 and 75; every other job runs as it is.`,
  run: async ([program, ...args]) => {
    if (program === undefined) throw new UsageError('no program was named');
    const verdict = judgePoolJob(program, process.env);
    if (!verdict.wrap) return await runUnwrapped(program, args, verdict.reason);
    try {
      return await runCommand.run(wrappedArguments(verdict, args));
    } catch (error) {
      // A job that may have checkpoints waits for a node that can restart them.
      if (verdict.isLater || !isUnstarted(error)) throw error;
      return await runUnwrapped(program, args, errorMessage(error).replaceAll(/\s*\n\s*/g, ' '));
    }
  },
};

/** Nothing has been started yet, and nothing was said about the job's checkpoints. */
const isUnstarted = (error: unknown): boolean =>
  error instanceof UsageError ||
  (error instanceof JobError && (error.code === 'ERR_JOB_NODE' || error.code === 'ERR_JOB_LAUNCH'));

const wrappedArguments = (
  { store, id, every, program }: Extract<Verdict, { wrap: true }>,
  args: readonly string[],
): readonly string[] => [
  ...['--store', store, '--id', id],
  ...(every === undefined ? [] : ['--every', every]),
  ...['--', program, ...args],
];

/** @param reason Told to the user log, when the job has a line there. */
async function runUnwrapped(program: string, args: readonly string[], reason: string | undefined): Promise<ProcessEnd> {
  const proxy = reason === undefined ? undefined : findProxy(process.env);
  const told = proxy && tellProxy(proxy, [logLine(`blcr: this job runs without checkpoints: ${reason}`)]);
  const child = spawn(program, args, { stdio: 'inherit' });
  handleSignals((signal) => child.kill(signal));
  const end = await new Promise<ProcessEnd>((resolve) => {
    child.once('error', () => resolve(exitWith(127)));
    child.once('exit', (code, signal) => resolve(signal === null ? exitWith(code ?? 1) : endBy(signal)));
  });
  await told;
  return end;
}

const endBy = (signal: NodeJS.Signals): ProcessEnd => ({ kind: 'signal', signal });
