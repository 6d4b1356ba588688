/**
 * The stream between libcr and the caller when the caller asks for one: a pipe where any descriptor will do, and a named FIFO for genuine
 * BLCR, which refuses what has no name in a directory.
 */
import { closeSync, constants, mkdtempSync, openSync, read, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { NativeBinding } from '../native/binding.ts';
import type { Provider } from './types.ts';

export interface ContextStream {
  /** What libcr gets. */
  readonly forLibrary: number;
  /** What the caller gets, and closes. */
  readonly forCaller: number;
  /** libcr has its own copy now. */
  handOver(): void;
  /** The caller may have gone: see to it that libcr does not block for ever. */
  drain(): void;
  /** The request is over. */
  finish(): void;
  /** There was no request: nothing remains open, the caller's end included. */
  discard(): void;
}

/** @param direction `out`: libcr writes a checkpoint; `in`: libcr reads one. */
export function openStream(provider: Provider, direction: 'in' | 'out'): ContextStream {
  return provider.info.kind === 'userspace'
    ? openPipe(provider.binding, direction)
    : openFifo(provider.binding, direction);
}

function openPipe(binding: NativeBinding, direction: 'in' | 'out'): ContextStream {
  const [readEnd, writeEnd] = binding.createPipe();
  const [forLibrary, forCaller] = direction === 'out' ? [writeEnd, readEnd] : [readEnd, writeEnd];
  return {
    forLibrary,
    forCaller,
    // Our copy would keep the caller from seeing end-of-file or EPIPE when the keeper dies.
    handOver: () => closeSync(forLibrary),
    drain: () => undefined,
    finish: () => undefined,
    discard: () => {
      closeSync(forLibrary);
      closeSync(forCaller);
    },
  };
}

/**
 * A FIFO in a directory of our own (0700). It is opened for both first, so that no open blocks; all ends that remain are blocking, as BLCR
 * demands. `hold` is one more reader that lives as long as the request: BLCR writes in the target's context, and without a reader SIGPIPE
 * would kill the target.
 */
function openFifo(binding: NativeBinding, direction: 'in' | 'out'): ContextStream {
  const directory = mkdtempSync(join(tmpdir(), 'node-blcr-'));
  const path = join(directory, 'context');
  const open: number[] = [];
  const add = (flags: number): number => {
    open.push(openSync(path, flags));
    return open.at(-1) ?? -1;
  };
  const release = (keep?: number): void => {
    for (const fd of open.splice(0)) {
      if (fd !== keep) closeSync(fd);
    }
    rmSync(directory, { recursive: true, force: true });
  };
  try {
    binding.makeFifo(path);
    const both = openSync(path, constants.O_RDWR);
    const reader = add(constants.O_RDONLY);
    const writer = add(constants.O_WRONLY);
    const hold = direction === 'out' ? add(constants.O_RDONLY) : undefined;
    closeSync(both);
    const [forLibrary, forCaller] = direction === 'out' ? [writer, reader] : [reader, writer];
    return {
      forLibrary,
      forCaller,
      handOver: () => undefined, // BLCR may open its copy late, and the FIFO must keep its name
      drain: () => {
        if (hold !== undefined) discardRest(hold, open);
      },
      finish: () => release(forCaller),
      discard: () => release(),
    };
  } catch (error) {
    release();
    throw error;
  }
}

/** Reads and forgets until end-of-file, which comes when the request is over; `open` then no longer closes `fd`: this does. */
function discardRest(fd: number, open: number[]): void {
  const at = open.indexOf(fd);
  if (at < 0) return;
  open.splice(at, 1);
  const buffer = Buffer.allocUnsafe(64 * 1024);
  const next = (): void =>
    read(fd, buffer, 0, buffer.length, null, (error, count) => (error === null && count > 0 ? next() : closeSync(fd)));
  next();
}
