/** A victim under the wrapper (`blcr run`), as a user runs it. */
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type CheckpointRecord, checkpointsOf, readEvents, startOf } from '../../scripts/support/event-log.ts';
import { compiled, root, scratch } from './programs.ts';
import type { Record } from './victim.ts';

export interface JobRequest {
  readonly store: string;
  readonly id: string;
  /** bench/victims/NAME.c; its first argument is the record, which the incarnations share. */
  readonly victim: string;
  readonly args: readonly string[];
  readonly record: Record;
  readonly options?: readonly string[];
}

const running = new Set<Job>();
process.on('exit', () => {
  for (const job of running) job.killGroup();
});

/** One incarnation of a job. */
export class Job {
  readonly record: Record;
  readonly #child: ChildProcess;
  readonly #directory: string;
  readonly #log: string;

  constructor(request: JobRequest) {
    this.record = request.record;
    this.#directory = mkdtempSync(join(scratch, 'job-'));
    const own = join(this.#directory, 'scratch');
    mkdirSync(own);
    this.#log = join(this.#directory, 'log');
    const log = openSync(this.#log, 'a');
    const run = [
      'run',
      '--store',
      request.store,
      '--id',
      request.id,
      '--every',
      '24h',
      '--first',
      '24h',
      ...(request.options ?? []),
    ];
    const program = [compiled(`victims/${request.victim}.c`), request.record.path, ...request.args];
    const command = [join(root, 'dist/cli/main.js'), ...run, '--', ...program];
    this.#child = spawn(process.execPath, command, { cwd: own, stdio: ['pipe', log, log], detached: true });
    running.add(this);
    this.#child.once('exit', () => running.delete(this));
  }

  get #scratch(): string {
    return join(this.#directory, 'scratch');
  }

  killGroup(): void {
    try {
      if (this.#child.pid !== undefined) process.kill(-this.#child.pid, 'SIGKILL');
    } catch {
      // it has ended
    }
  }

  async #until<T>(what: string, find: () => T | undefined): Promise<T> {
    for (const deadline = Date.now() + 180_000; Date.now() < deadline; await sleep(25)) {
      const found = find();
      if (found !== undefined) return found;
      if (this.#child.exitCode !== null) break;
    }
    throw new Error(`${what}: it did not happen; the wrapper says:\n${readFileSync(this.#log, 'utf8')}`);
  }

  /** Waits until the job runs; the number of the checkpoint it came from. */
  async started(): Promise<number | undefined> {
    return (await this.#until('start of the job', () => startOf(readEvents(this.#scratch)))).resumedFrom;
  }

  /** Takes a checkpoint now and waits until it is stored. */
  async checkpoint(): Promise<CheckpointRecord> {
    const before = checkpointsOf(readEvents(this.#scratch)).length;
    this.#child.kill('SIGUSR2');
    return await this.#until('checkpoint', () => checkpointsOf(readEvents(this.#scratch))[before]);
  }

  /** Lets the victim `changer` change its memory once. */
  async change(): Promise<void> {
    const before = this.record.iterations;
    this.#child.stdin?.write('change\n');
    for (const deadline = Date.now() + 60_000; this.record.iterations === before; await sleep(2)) {
      if (Date.now() > deadline) throw new Error('the program did not change its memory');
    }
  }

  /** Ends wrapper and program without a warning. */
  async kill(): Promise<void> {
    this.killGroup();
    if (this.#child.exitCode === null && this.#child.signalCode === null) await once(this.#child, 'exit');
  }
}
