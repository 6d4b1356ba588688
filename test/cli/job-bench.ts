/** A directory store, scratch directories and wrappers for tests with the real keeper, as an ordinary user also when run by root. */

import type { ChildProcess } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { openProvider } from '../../lib/checkpoint/provider.ts';
import type { JobEvent } from '../../lib/job/events.ts';
import { startCli } from './run-cli.ts';

const ORDINARY_USER = 1000;
const isRoot = process.getuid?.() === 0;
/** Of whatever a bench starts: for programs that are started beside it. */
export const BENCH_USER: { readonly uid?: number; readonly gid?: number } = isRoot
  ? { uid: ORDINARY_USER, gid: ORDINARY_USER }
  : {};

/** Why tests with the real keeper cannot run here, or false. */
export const SKIP: string | false = whyNot();

function whyNot(): string | false {
  try {
    const { keeper, path } = openProvider().info;
    return keeper !== undefined && existsSync(keeper) ? false : `${path} has no keeper (npm run build:native)`;
  } catch (error) {
    return `there is no libcr (npm run build): ${error instanceof Error ? error.message : String(error)}`;
  }
}

export class JobBench {
  readonly directory: string;
  readonly #mark: string;

  constructor(context: TestContext) {
    this.directory = mkdtempSync(join(tmpdir(), 'blcr-run-'));
    this.#mark = this.directory;
    this.#own(this.directory);
    this.makeDirectory('store');
    context.after(() => {
      for (const pid of this.processes()) process.kill(pid, 'SIGKILL');
      rmSync(this.directory, { recursive: true, force: true });
    });
  }

  get store(): string {
    return `file://${this.directory}/store`;
  }

  makeDirectory(name: string): string {
    const path = join(this.directory, name);
    mkdirSync(path, { recursive: true });
    this.#own(path);
    return path;
  }

  /** Opened as a shell's `>>` would; belongs to the ordinary user. */
  openOutput(name: string): number {
    const path = join(this.directory, name);
    const fd = openSync(path, 'a');
    this.#own(path);
    return fd;
  }

  read(name: string): string {
    return readFileSync(join(this.directory, name), 'utf8');
  }

  /** Starts `blcr …` in a scratch directory. */
  start(
    scratch: string,
    args: readonly string[],
    stdout: number | 'pipe' = 'pipe',
    env: NodeJS.ProcessEnv = {},
  ): ChildProcess {
    const cwd = this.makeDirectory(scratch);
    return startCli('blcr', args, {
      cwd,
      env: { BLCR_TEST: this.#mark, HOME: cwd, ...env },
      stdio: ['ignore', stdout, 'pipe'],
      ...(isRoot ? { uid: ORDINARY_USER } : {}),
    });
  }

  /** `blcr run` of a job with short periods. */
  run(
    scratch: string,
    id: string,
    program: readonly string[],
    stdout?: number | 'pipe',
    ...options: string[]
  ): ChildProcess {
    const periods = ['--every', '700ms', '--first', '300ms'];
    return this.start(
      scratch,
      ['run', '--store', this.store, '--id', id, ...periods, ...options, '--', ...program],
      stdout,
    );
  }

  events(scratch: string): readonly JobEvent[] {
    const path = join(this.directory, scratch, '.blcr/events.log');
    if (!existsSync(path)) return [];
    const lines = readFileSync(path, 'utf8').split('\n').slice(0, -1);
    return lines.map((line) => JSON.parse(line) as JobEvent);
  }

  /** Waits for an event in the log of a scratch directory. */
  async until(scratch: string, is: (event: JobEvent) => boolean, child?: ChildProcess): Promise<JobEvent> {
    for (const deadline = Date.now() + 40_000; Date.now() < deadline; await delay(25)) {
      const found = this.events(scratch).find(is);
      if (found !== undefined) return found;
      if (child !== undefined && child.exitCode !== null) {
        await delay(50);
        const said = String(child.stderr?.read() ?? '');
        throw new Error(`exited with ${child.exitCode}: ${said}${this.#tell(scratch)}`);
      }
    }
    throw new Error(`nothing of the kind within 40 s: ${this.#tell(scratch)}`);
  }

  #tell(scratch: string): string {
    return JSON.stringify(this.events(scratch), undefined, 1);
  }

  /** Pids of everything that was started here. */
  processes(): number[] {
    return readdirSync('/proc').flatMap((name) => {
      if (!/^\d+$/.test(name) || Number(name) === process.pid) return [];
      try {
        return readFileSync(`/proc/${name}/environ`, 'latin1').includes(`BLCR_TEST=${this.#mark}`)
          ? [Number(name)]
          : [];
      } catch {
        return []; // it has ended
      }
    });
  }

  async untilNothingRuns(): Promise<void> {
    for (const deadline = Date.now() + 10_000; Date.now() < deadline; await delay(20)) {
      if (this.processes().length === 0) return;
    }
    throw new Error(`still running: ${this.processes().map(nameOf).join(', ')}`);
  }

  #own(path: string): void {
    if (isRoot) chownSync(path, ORDINARY_USER, ORDINARY_USER);
    else chmodSync(path, 0o700);
  }
}

function nameOf(pid: number): string {
  try {
    return `${pid} ${readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ')}`;
  } catch {
    return `${pid} (gone)`;
  }
}

/** A shell that counts, with a child process at each step. */
export const counting = (steps: number): readonly string[] => [
  '/bin/sh',
  '-c',
  `i=0; while [ $i -lt ${steps} ]; do echo step $i; echo $i >state; i=$((i+1)); sleep 0.1; done`,
];

export const counted = (steps: number): string => Array.from({ length: steps }, (_, step) => `step ${step}\n`).join('');
