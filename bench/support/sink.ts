/** A process that reads a pipe and throws away what it reads: the receiving end of every stream benchmark. */
import type { ChildProcess } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { openProvider } from '../../lib/checkpoint/provider.ts';
import { compiled, finish, start, textOf } from './programs.ts';

export interface Sink {
  /** Write end; close it (closeWriter) when the last writer has it no more. */
  readonly fd: number;
  closeWriter(): void;
  /** Resolves at end-of-file. */
  readonly done: Promise<{ readonly bytes: number; readonly seconds: number }>;
}

/** @param bytesPerSecond It reads no faster than this. */
export function openSink(bytesPerSecond?: number): Sink {
  const [readEnd, fd] = openProvider().binding.createPipe();
  const child: ChildProcess = start(
    [compiled('reference/sink.c'), ...(bytesPerSecond === undefined ? [] : [`${bytesPerSecond}`])],
    [readEnd, 'pipe', 'inherit'],
  );
  closeSync(readEnd);
  let isOpen = true;
  const closeWriter = (): void => {
    if (isOpen) closeSync(fd);
    isOpen = false;
  };
  const done = Promise.all([textOf(child.stdout), finish(child)]).then(([text]) => {
    const [bytes = 0, nanoseconds = 0] = text.split(' ').map(Number);
    return { bytes, seconds: nanoseconds / 1e9 };
  });
  return { fd, closeWriter, done };
}

export const openNull = (): number => openSync('/dev/null', 'w');
