import { constants } from 'node:os';
import type { ExitStatus } from './types.ts';

const SIGNAL_NAMES: ReadonlyMap<number, NodeJS.Signals> = new Map(
  (Object.entries(constants.signals) as [NodeJS.Signals, number][]).reverse().map(([name, number]) => [number, name]),
);

/**
 * Decodes the status of waitpid(2) of a process that has ended.
 * Source: wait(2): the low seven bits are the signal or 0, the byte above is the exit code.
 */
export function decodeWaitStatus(status: number): ExitStatus {
  const signal = status & 0x7f;
  if (signal === 0) return { exitCode: (status >> 8) & 0xff, signal: undefined };
  // Real-time signals have no name in Node; kill(1)'s spelling is used.
  const name = SIGNAL_NAMES.get(signal) ?? (`SIGRTMIN+${signal - 34}` as NodeJS.Signals);
  return { exitCode: undefined, signal: name };
}
