/** What the fault tests need on top of a job bench: stores of any address, live events, scripts as the ordinary user, programs in C. */

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { JobEvent } from '../../lib/job/events.ts';
import { JobBench, SKIP } from '../cli/job-bench.ts';
import { hasChirpServer } from '../support/chirp-server.ts';

export const IS_ROOT: boolean = process.getuid?.() === 0;
export const ORDINARY_USER = 1000;
export const LIMITS: { readonly skip: string | false; readonly timeout: number } = { skip: SKIP, timeout: 90_000 };
export const CHIRP_LIMITS: { readonly skip: string | false; readonly timeout: number } = {
  ...LIMITS,
  skip: SKIP || (hasChirpServer() ? false : 'chirp_server is not installed'),
};

/** Options of `blcr run` under which checkpoints come quickly. */
export const OFTEN = ['--first', '200ms', '--every', '500ms'] as const;
/** And under which none comes unasked. */
export const NEVER = ['--first', '1h', '--every', '1h'] as const;

export const isCheckpoint = (event: JobEvent): boolean => event.event === 'checkpoint';
export const isStarted = (event: JobEvent): boolean => event.event === 'started';
export const isWarning =
  (...codes: readonly string[]) =>
  (event: JobEvent): boolean =>
    event.event === 'warning' && codes.includes(event.code);

/** The events that a wrapper tells with `--json`, as they come. */
export class LiveEvents {
  readonly seen: JobEvent[] = [];
  readonly #child: ChildProcess;

  constructor(child: ChildProcess) {
    this.#child = child;
    if (child.stderr === null) throw new Error('the events are not piped');
    createInterface(child.stderr).on('line', (line) => {
      if (line.startsWith('{')) this.seen.push(JSON.parse(line) as JobEvent);
    });
  }

  /** Waits for the first event of the kind after the first `from` ones. */
  async until(is: (event: JobEvent) => boolean, from: number = 0): Promise<JobEvent> {
    for (const deadline = Date.now() + 40_000; Date.now() < deadline; await delay(5)) {
      const found = this.seen.slice(from).find(is);
      if (found !== undefined) return found;
      if (this.#child.exitCode !== null || this.#child.signalCode !== null) break;
    }
    throw new Error(`nothing of the kind; exit ${this.#child.exitCode}\n${JSON.stringify(this.seen, undefined, 1)}`);
  }

  /** Waits until a checkpoint has put this many bytes on their way. */
  async untilShipped(bytes: number, from: number = 0): Promise<void> {
    await this.until((event) => event.event === 'progress' && event.shipped >= bytes, from);
  }
}

export class FaultBench extends JobBench {
  /** `blcr run` with any store, told in JSON. */
  runAt(
    url: string,
    scratch: string,
    program: readonly string[],
    options: readonly string[],
    stdout: number | 'pipe' = 'pipe',
  ): ChildProcess {
    const args = ['run', '--store', url, '--id', 'job', '--json', ...options, '--', ...program];
    return this.start(scratch, args, stdout);
  }

  /** Builds a program of this directory. */
  build(name: string): string {
    const program = join(this.directory, name);
    if (existsSync(program)) return program;
    const source = fileURLToPath(new URL(`${name}.c`, import.meta.url));
    execFileSync('cc', ['-O1', '-Wall', '-Wextra', '-pthread', '-o', program, source]);
    chmodSync(program, 0o755);
    return program;
  }

  /** Runs a script of this directory as the ordinary user and gives its standard output; fails when it does. */
  async script(name: string, ...args: readonly string[]): Promise<string> {
    const child = spawn(process.execPath, ['--import', import.meta.resolve('tsx'), scriptPath(name), ...args], {
      cwd: this.directory,
      env: { ...this.environment(), HOME: this.directory },
      stdio: ['ignore', 'pipe', 'pipe'],
      ...(IS_ROOT ? { uid: ORDINARY_USER, gid: ORDINARY_USER } : {}),
    });
    let [output, errors] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      errors += text;
    });
    const [code] = (await once(child, 'close')) as [number | null];
    if (code !== 0) throw new Error(`${name} ended with ${code}:\n${output}${errors}`);
    return output;
  }

  /** Kills a wrapper as the loss of its node would, and waits until nothing of the job is left. */
  async lose(child: ChildProcess): Promise<void> {
    const isOver = child.exitCode !== null || child.signalCode !== null;
    if (!isOver) {
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
    }
    await this.untilNothingRuns();
  }

  environment(): NodeJS.ProcessEnv {
    const {
      BLCR_STORE: _store,
      BLCR_KEY_FILE: _key,
      NODE_OPTIONS: _options,
      NODE_TEST_CONTEXT: _test,
      ...env
    } = process.env;
    return { ...env, BLCR_TEST: this.directory };
  }
}

function scriptPath(name: string): string {
  return fileURLToPath(new URL(name, import.meta.url));
}
