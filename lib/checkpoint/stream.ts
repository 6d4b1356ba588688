/**
 * The stream between libcr and the caller when the caller asks for one: a pipe where any descriptor will do, and a named FIFO for genuine
 * BLCR, which refuses what has no name in a directory.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, constants, mkdtempSync, openSync, read, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { NativeBinding } from '../native/binding.ts';
import type { Provider } from './types.ts';

export interface ContextStream {
  /** What libcr gets. */
  readonly forLibrary: number;
  /** What the caller gets, and closes: valid after handOver. */
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

/** A FIFO in a directory of our own (0700). All ends that remain open are blocking, as BLCR demands. */
class Fifo {
  readonly #directory = mkdtempSync(join(tmpdir(), 'node-blcr-'));
  readonly #path = join(this.#directory, 'context');
  readonly #open = new Set<number>();

  /** @returns its first reader and writer. */
  create(binding: NativeBinding): readonly [reader: number, writer: number] {
    binding.makeFifo(this.#path);
    const both = openSync(this.#path, constants.O_RDWR); // so that no open blocks
    try {
      return [this.add(constants.O_RDONLY), this.add(constants.O_WRONLY)];
    } finally {
      closeSync(both);
    }
  }

  add(flags: number): number {
    const fd = openSync(this.#path, flags);
    this.#open.add(fd);
    return fd;
  }

  close(fd: number): void {
    if (this.#open.delete(fd)) closeSync(fd);
  }

  /** Reads and forgets until end-of-file, which comes when the request is over, and closes `fd`. */
  discardRest(fd: number): void {
    if (!this.#open.delete(fd)) return;
    const buffer = Buffer.allocUnsafe(64 * 1024);
    const next = (): void =>
      read(fd, buffer, 0, buffer.length, null, (error, count) =>
        error === null && count > 0 ? next() : closeSync(fd),
      );
    next();
  }

  release(keep?: number): void {
    for (const fd of this.#open) if (fd !== keep) closeSync(fd);
    this.#open.clear();
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

function openFifo(binding: NativeBinding, direction: 'in' | 'out'): ContextStream {
  const fifo = new Fifo();
  try {
    const ends = fifo.create(binding);
    return direction === 'out' ? outOf(fifo, ...ends) : into(fifo, ...ends);
  } catch (error) {
    fifo.release();
    throw error;
  }
}

/**
 * `hold` is one more reader that lives as long as the request: BLCR writes in the target's context, and without a reader SIGPIPE would kill
 * the target.
 */
function outOf(fifo: Fifo, forCaller: number, forLibrary: number): ContextStream {
  const hold = fifo.add(constants.O_RDONLY);
  return {
    forLibrary,
    forCaller,
    handOver: () => undefined, // BLCR may open its copy late, and the FIFO must keep its name
    drain: () => fifo.discardRest(hold),
    finish: () => fifo.release(forCaller),
    discard: () => fifo.release(),
  };
}

/**
 * cr_request_restart forks this process, and the child reads the context: a writing end that it got from us would keep the end of a context
 * that is cut short from it for ever. While it forks, only another program has the FIFO open for writing.
 */
function into(fifo: Fifo, forLibrary: number, writer: number): ContextStream {
  const holder = holdElsewhere(writer);
  fifo.close(writer);
  let forCaller = -1;
  return {
    forLibrary,
    get forCaller() {
      return forCaller;
    },
    handOver: () => {
      forCaller = fifo.add(constants.O_WRONLY);
      holder.kill('SIGKILL');
    },
    drain: () => undefined,
    finish: () => fifo.release(forCaller),
    discard: () => {
      holder.kill('SIGKILL');
      fifo.release();
    },
  };
}

/** Long for a fork on any machine, and short for a program that nobody ends because this one was killed. */
const HOLD_SECONDS = 60;

/** Fails when no program can be started. */
function holdElsewhere(fd: number): ChildProcess {
  const holder = spawn('sleep', [String(HOLD_SECONDS)], {
    cwd: '/',
    stdio: ['ignore', 'ignore', 'ignore', fd],
    detached: true, // out of reach of signals to our group
  });
  holder.unref();
  holder.on('error', () => undefined); // told below
  if (holder.pid === undefined) throw new Error('sleep(1) cannot be started, which holds the context open for BLCR');
  return holder;
}
