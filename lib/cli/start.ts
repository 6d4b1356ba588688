/** The first lines of each program: what was held while Node started is taken over before anything else is loaded. */

import { releaseEnvironment } from '../native/held-environment.ts';
import { hasJob, type ProgramName } from './invocation.ts';
import { captureSignals, releaseSignals } from './signals.ts';

/** Runs a program to its end, which is the end of this process. */
export async function start(program: ProgramName, args: readonly string[]): Promise<never> {
  captureSignals();
  releaseEnvironment();
  if (!hasJob(program, args)) await releaseSignals();
  const { dispatch, dispatchClassic } = await import('./dispatch.ts');
  return await (program === 'blcr' ? dispatch(args) : dispatchClassic(args));
}
