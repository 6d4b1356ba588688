/** The single executable, built, and started as a batch system would: with next to nothing in its environment. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { copyFileSync, existsSync, realpathSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { packageRoot } from '../../lib/native/load.ts';
import type { JobBench } from '../cli/job-bench.ts';
import { type Finished, finishCli } from '../cli/run-cli.ts';

export const SINGLE: string = join(packageRoot, 'dist/blcr_wrapper');

/** Why it cannot be built here, or false. */
export const NO_BUILD: string | false = existsSync('/usr/include/zstd.h')
  ? false
  : 'libzstd-dev is not installed (npm run build:wrapper needs it)';

const isRoot = process.getuid?.() === 0;

/** Tests with mounts of their own need root; everything in them but the mounting is done as an ordinary user. */
export const NO_MOUNTS: string | false = NO_BUILD || (isRoot ? false : 'mounting needs root');

const ORDINARY_USER = ['setpriv', '--reuid=1000', '--regid=1000', '--clear-groups'];

/** Quick when nothing has changed since. */
export function buildSingle(): string {
  if (NO_BUILD === false) execFileSync(process.execPath, [join(packageRoot, 'scripts/build-wrapper.mjs')]);
  return SINGLE;
}

/** Shell commands that make a node without Node.js of the mount namespace they run in. */
export const HIDE_NODE: string = [...new Set([process.execPath, realpathSync(process.execPath), '/usr/bin/node'])]
  .filter((path) => existsSync(path))
  .map((path) => `mount --bind /dev/null '${path}'`)
  .join(' && ');

export interface StartOptions {
  /** Shell commands, run as root in a mount namespace of the process's own before it starts; needs root. */
  readonly mounts?: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly stdout?: number | 'pipe';
  /** What to start, relative to the sandbox; default: a copy of the executable that is made there. */
  readonly executable?: string;
  /** Put before the command: limits, signal masks. */
  readonly prefix?: readonly string[];
  readonly isRoot?: boolean;
  /** No other program between the mounts and this one: they may be such that none can run. */
  readonly isBare?: boolean;
}

/** Starts a copy of the executable that lies in its working directory, a sandbox as batch systems make them. */
export function startSingle(
  bench: JobBench,
  sandbox: string,
  args: readonly string[],
  options: StartOptions = {},
): ChildProcess {
  const cwd = bench.makeDirectory(sandbox);
  const executable = resolve(cwd, options.executable ?? 'blcr_wrapper');
  if (options.executable === undefined && !existsSync(executable)) copyFileSync(SINGLE, executable);
  const become = isRoot && options.isRoot !== true ? ORDINARY_USER : [];
  const variables = Object.entries({ BLCR_TEST: bench.directory, ...options.env });
  const env = ['env', '-i', ...variables.map(([name, value]) => `${name}=${value}`)];
  const before = options.isBare === true ? [] : [...become, ...(options.prefix ?? []), ...env];
  const command = [...before, executable, ...args];
  const inNamespace =
    options.mounts === undefined
      ? command
      : [
          'unshare',
          '--mount',
          '--propagation',
          'private',
          'sh',
          '-c',
          `${options.mounts} && exec "$@"`,
          'sh',
          ...command,
        ];
  const [program = '', ...rest] = inNamespace;
  return spawn(program, rest, { cwd, stdio: ['ignore', options.stdout ?? 'pipe', 'pipe'], detached: true });
}

export async function runSingle(
  bench: JobBench,
  sandbox: string,
  args: readonly string[],
  options: StartOptions = {},
): Promise<Finished> {
  return await finishCli(startSingle(bench, sandbox, args, options));
}
