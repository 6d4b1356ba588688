/** A victim under the keeper, and what it says about itself through its record (bench/victims/record.h). */
import type { ChildProcess } from 'node:child_process';
import { closeSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { compiled, nativeDirectory, scratch, start, stop } from './programs.ts';

const HEADER_BYTES = 32;
const GAPS = 1024;

export interface Gap {
  readonly endMs: number;
  readonly lengthMs: number;
}

export class Record {
  readonly path: string;

  constructor(name: string) {
    this.path = join(scratch, name);
  }

  #read(): Buffer {
    const buffer = Buffer.alloc(HEADER_BYTES + GAPS * 16);
    const fd = openSync(this.path, 'r');
    readSync(fd, buffer, 0, buffer.length, 0);
    closeSync(fd);
    return buffer;
  }

  get isReady(): boolean {
    return this.#read().readBigUInt64LE(0) === 1n;
  }

  get iterations(): number {
    return Number(this.#read().readBigUInt64LE(8));
  }

  /** Milliseconds of the longest gap that touches the time between `fromMs` and `toMs` (Date.now() values); 0 when there was none. */
  longestGap(fromMs: number, toMs: number): number {
    const buffer = this.#read();
    const written = Number(buffer.readBigUInt64LE(16));
    let longest = 0;
    for (let slot = 0; slot < Math.min(written, GAPS); ++slot) {
      const endMs = Number(buffer.readBigUInt64LE(HEADER_BYTES + slot * 16)) / 1e6;
      const lengthMs = Number(buffer.readBigUInt64LE(HEADER_BYTES + slot * 16 + 8)) / 1e6;
      if (endMs >= fromMs && endMs - lengthMs <= toMs) longest = Math.max(longest, lengthMs);
    }
    return longest;
  }

  async untilReady(): Promise<void> {
    for (const deadline = Date.now() + 120_000; Date.now() < deadline; await sleep(20)) {
      try {
        if (this.isReady) return;
      } catch {
        // the file is not there yet
      }
    }
    throw new Error(`${this.path}: the victim did not get ready`);
  }
}

export interface Victim extends AsyncDisposable {
  /** The victim itself, not its keeper. */
  readonly pid: number;
  readonly record: Record;
  readonly keeper: ChildProcess;
}

let count = 0;

/** Starts bench/victims/NAME.c with its record as the first argument and waits until its memory is filled. */
export async function startVictim(
  name: string,
  args: readonly string[],
  record: Record = new Record(`record-${++count}`),
): Promise<Victim> {
  const program = [compiled(`victims/${name}.c`), record.path, ...args];
  const keeper = start(
    [join(nativeDirectory, 'blcr-keeper'), 'run', '--report', '3', '--', ...program],
    ['pipe', 'inherit', 'inherit', 'pipe'],
  );
  const report = keeper.stdio[3] as NodeJS.ReadableStream;
  const line = await new Promise<string>((resolve) =>
    report.once('data', (chunk: Buffer) => resolve(chunk.toString())),
  );
  const pid = Number(/^started (\d+)/.exec(line)?.[1]);
  if (!(pid > 0)) throw new Error(`the keeper says: ${line}`);
  await record.untilReady();
  return { pid, record, keeper, [Symbol.asyncDispose]: () => stop(keeper) };
}
