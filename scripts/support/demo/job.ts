/** One incarnation of a job: the wrapper in a process group of its own, its events, and its death. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync, readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { JobEvent } from '../../../lib/job/events.ts';
import { readEvents } from '../event-log.ts';

export interface Gap {
  readonly endMs: number;
  readonly lengthMs: number;
}

export interface Start {
  readonly command: readonly string[];
  readonly scratch: string;
  /** Put into the environment, by which processes of the job are known. */
  readonly marker: string;
  /** Name of the program to watch for gaps. */
  readonly watch: string;
  /** File for the program's standard output; the wrapper's own file when undefined. */
  readonly stdout?: string;
  readonly log: string;
}

/** Pids of all processes that carry the marker. */
export function processesOf(marker: string): readonly number[] {
  return readdirSync('/proc').flatMap((name) => {
    if (!/^\d+$/.test(name) || Number(name) === process.pid) return [];
    try {
      return readFileSync(`/proc/${name}/environ`, 'utf8').includes(marker) ? [Number(name)] : [];
    } catch {
      return []; // ended meanwhile, or another user's
    }
  });
}

/** The job was over before what was to happen to it: it needs more to do. */
export class EndedEarly extends Error {}

export class Incarnation {
  readonly scratch: string;
  readonly gaps: Gap[] = [];
  readonly #child: ChildProcess;
  readonly #sampler: ChildProcess;
  readonly #log: string;
  readonly #marker: string;

  constructor(start: Start) {
    this.scratch = start.scratch;
    this.#log = start.log;
    this.#marker = start.marker;
    const log = openSync(start.log, 'a');
    const stdout = start.stdout === undefined ? log : openSync(start.stdout, 'a');
    const [program = '', ...args] = start.command;
    const env = { ...process.env, BLCR_DEMO: start.marker };
    this.#child = spawn(program, args, { cwd: start.scratch, env, detached: true, stdio: ['ignore', stdout, log] });
    const sampler = new URL('./gap-sampler.mjs', import.meta.url).pathname;
    this.#sampler = spawn(process.execPath, [sampler, start.marker, start.watch], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.#sampler.stdout?.setEncoding('utf8').on('data', (text: string) => {
      for (const line of text.trim().split('\n')) {
        const [endMs = 0, lengthMs = 0] = line.split(' ').map(Number);
        this.gaps.push({ endMs, lengthMs });
      }
    });
  }

  /** Everything the wrapper has reported so far. */
  get events(): readonly JobEvent[] {
    return readEvents(this.scratch);
  }

  get hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  /** Waits until `isDone` accepts the events. @throws EndedEarly when the job is done before; when the wrapper ends, or after two minutes. */
  async until(what: string, isDone: (events: readonly JobEvent[]) => boolean): Promise<void> {
    for (const deadline = Date.now() + 120_000; Date.now() < deadline; await sleep(50)) {
      if (isDone(this.events)) return;
      if (this.#child.exitCode === 0) throw new EndedEarly(`the job ended before ${what}`);
      if (this.hasEnded) throw new Error(`the wrapper ended (${this.#ending}) before ${what}; it said:\n${this.said}`);
    }
    throw new Error(`${what}: not within two minutes; the wrapper said:\n${this.said}`);
  }

  get said(): string {
    return readFileSync(this.#log, 'utf8').trim();
  }

  get #ending(): string {
    return this.#child.signalCode ?? `exit status ${this.#child.exitCode}`;
  }

  /** The wrapper's exit status, or the name of the signal it died of. */
  async end(): Promise<number | string> {
    if (!this.hasEnded) await once(this.#child, 'exit');
    this.#sampler.kill('SIGKILL');
    return this.#child.exitCode ?? this.#child.signalCode ?? 'unknown';
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  /** What the loss of a machine looks like to the processes on it: all of the wrapper's group at once, without a warning. */
  async killGroup(): Promise<void> {
    if (this.#child.exitCode === 0) throw new EndedEarly('the job ended before its machine was lost');
    if (this.#child.pid !== undefined) process.kill(-this.#child.pid, 'SIGKILL');
    await this.end();
  }

  /** Milliseconds until no process of the job was left. @throws after ten seconds. */
  async untilGone(): Promise<number> {
    const start = performance.now();
    for (; performance.now() - start < 10_000; await sleep(10)) {
      if (processesOf(this.#marker).length === 0) return performance.now() - start;
    }
    throw new Error(`processes of the job are still running: ${processesOf(this.#marker).join(', ')}`);
  }

  /** The longest gap seen around the time from `fromMs` to `toMs`. */
  longestGap(fromMs: number, toMs: number): number {
    const inside = this.gaps.filter(({ endMs, lengthMs }) => endMs >= fromMs && endMs - lengthMs <= toMs);
    return Math.max(0, ...inside.map(({ lengthMs }) => lengthMs));
  }
}
