/** How this process ends: with a number, or by the signal that its program died of. */

import { writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { BlcrError, JobError, NativeLoadError, RestartError, UsageError } from '../errors.ts';
import { EXIT_CODES, type ProcessEnd } from '../job/exit-status.ts';
import { errorCode } from '../util/error-facts.ts';

export const success: ProcessEnd = { kind: 'code', code: 0, collision: false };

export const exitWith = (code: number): ProcessEnd => ({ kind: 'code', code, collision: false });

/** The exit code for an error that ends a command. */
export function exitCodeOf(error: unknown): number {
  const code = errorCode(error);
  if (error instanceof UsageError || code === 'ERR_STORE_URL' || code === 'ERR_STORE_ARGUMENT') return EXIT_CODES.usage;
  if (error instanceof JobError && error.exitCode !== undefined) return error.exitCode;
  if (code === 'ERR_STORE_FENCED') return EXIT_CODES.fenced;
  if (error instanceof NativeLoadError) return EXIT_CODES.temporary;
  if (error instanceof RestartError) return error.blame === 'node' ? EXIT_CODES.temporary : EXIT_CODES.unrestartable;
  if (error instanceof BlcrError) return error.retriable ? EXIT_CODES.temporary : 1;
  return EXIT_CODES.internal;
}

/** Ends the process once its output is written. */
export async function endProcess(end: ProcessEnd): Promise<never> {
  await Promise.all([drain(process.stdout), drain(process.stderr)]);
  if (end.kind === 'signal') dieOf(end.signal);
  process.exit(end.kind === 'code' ? end.code : 128 + signalNumber(end.signal));
}

function drain(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => {
    if (stream.destroyed || !stream.writable) resolve();
    else stream.write('', () => resolve());
  });
}

/** Returns only when the signal does not kill (it cannot be named, or is blocked). */
function dieOf(signal: string): void {
  const number = signalNumber(signal);
  if (number === 0) return;
  try {
    // The program's own core, if it left one, is enough. Source: core(5), coredump_filter.
    writeFileSync('/proc/self/coredump_filter', '0');
  } catch {
    // Without it there is merely a core too many.
  }
  const name = signal as NodeJS.Signals;
  if (name !== 'SIGKILL' && name !== 'SIGSTOP') {
    // Adding and removing a listener makes libuv restore the default action, also where Node itself had another (SIGPIPE, SIGUSR1).
    const listener = (): void => undefined;
    process.removeAllListeners(name);
    process.on(name, listener);
    process.off(name, listener);
  }
  process.kill(process.pid, number);
}

/** Real-time signals are spelt as kill(1) does. 0 for a name that is not known. */
function signalNumber(signal: string): number {
  const realTime = /^SIGRTMIN\+(\d+)$/.exec(signal)?.[1];
  if (realTime !== undefined) return 34 + Number(realTime);
  return constants.signals[signal as NodeJS.Signals] ?? 0;
}
