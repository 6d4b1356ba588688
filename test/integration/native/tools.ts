/** BLCR's utilities and the keeper as an ordinary user meets them: started as child processes, in a directory of their own. */
import assert from 'node:assert/strict';
import { type ChildProcess, type SpawnOptions, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

/** Where build-native.mjs puts the keeper, libcr and the utilities. */
export const NATIVE: string = fileURLToPath(new URL('../../../build/native/', import.meta.url));
export const INCLUDE: string = fileURLToPath(new URL('../../../native/include/', import.meta.url));

/** Closes what leaked into the test run, up to descriptor `keep`: a pipe whose other end is elsewhere would be refused. */
// biome-ignore lint/suspicious/noTemplateCurlyInString: for bash
const ONLY = 'for d in /proc/$$/fd/*; do n=${d##*/}; [ $n -gt $0 ] && eval "exec $n>&-"; done; exec "$@"';

/** Low byte of CR_ETEMPFAIL. */
const TEMPORARY = 50;

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A scratch directory and the processes started in it; all of them are gone after `clean`. */
export class Workshop {
  readonly directory: string = mkdtempSync(join(tmpdir(), 'blcr-native-'));
  readonly #running = new Set<ChildProcess>();

  path(name: string): string {
    return join(this.directory, name);
  }

  read(name: string): string {
    return existsSync(this.path(name)) ? readFileSync(this.path(name), 'utf8') : '';
  }

  /** Starts a utility, `blcr-keeper`, or the program of an absolute path; its standard output and error go to files `${output}` and `${output}.err`. */
  start(tool: string, args: readonly string[], output: string, extra: readonly ('pipe' | number)[] = []): ChildProcess {
    const out = openSync(this.path(output), 'a');
    const err = openSync(this.path(`${output}.err`), 'a');
    const options: SpawnOptions = { cwd: this.directory, stdio: ['ignore', out, err, ...extra] };
    const child = spawn('bash', ['-c', ONLY, String(2 + extra.length), resolve(NATIVE, tool), ...args], options);
    closeSync(out);
    closeSync(err);
    this.#running.add(child);
    return child;
  }

  /** Runs a utility to its end; the exit status, with what it said. */
  run(
    tool: string,
    args: readonly string[],
    timeoutMs = 20_000,
  ): { status: number | null; signal: string | null; text: string } {
    const command = ['-c', ONLY, '2', resolve(NATIVE, tool), ...args];
    const { status, signal, stdout, stderr } = spawnSync('bash', command, {
      cwd: this.directory,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: timeoutMs,
    });
    return { status, signal, text: stdout + stderr };
  }

  /** Takes a checkpoint that must succeed, once the keeper is there to take it. */
  async checkpoint(child: ChildProcess, file: string, ...options: string[]): Promise<void> {
    // Until then its number is that of the shell, which a checkpoint would be taken of.
    await waitUntil(() => !commandLine(child.pid).includes(ONLY), 'the shell to become the program');
    const request = () => this.run('cr_checkpoint', ['-f', file, ...options, String(child.pid)]);
    let { status, text } = request();
    for (let tries = 0; status === TEMPORARY && tries < 200; tries++) {
      await sleep(20);
      ({ status, text } = request());
    }
    assert.equal(status, 0, text);
  }

  async waitForLines(name: string, lines: number): Promise<void> {
    await waitUntil(() => this.read(name).split('\n').length > lines, `${name} to have ${lines} lines`);
  }

  clean(): void {
    for (const child of this.#running) child.kill('SIGKILL');
    this.#running.clear();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

function commandLine(pid: number | undefined): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return ''; // gone
  }
}

export async function ended(child: ChildProcess): Promise<Ended> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  return { code: child.exitCode, signal: child.signalCode };
}

export async function waitUntil(condition: () => boolean, what: string, limitMs = 20_000): Promise<void> {
  const end = Date.now() + limitMs;
  while (!condition()) {
    assert.ok(Date.now() < end, `waited in vain for ${what}`);
    await sleep(10);
  }
}

/** Living children of a process. */
export function childrenOf(pid: number | undefined): number[] {
  const list = spawnSync('ps', ['-o', 'pid=,stat=', '--ppid', String(pid)], { encoding: 'utf8' }).stdout;
  const rows = list.split('\n').map((line) => line.trim().split(/\s+/));
  return rows.filter(([, state]) => state !== undefined && !state.startsWith('Z')).map(([number]) => Number(number));
}

export function isAlive(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.charAt(stat.lastIndexOf(')') + 2) !== 'Z';
  } catch {
    return false; // gone, before the look or (ESRCH) during it
  }
}
