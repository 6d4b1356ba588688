/** Runs the command line as a process of its own, from source. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const root = new URL('../../', import.meta.url);
const FILES = { blcr: 'lib/cli/main.ts', blcr_wrapper: 'lib/cli/wrapper.ts' } as const;

export interface CliOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly stdio?: readonly ('ignore' | 'pipe' | number)[];
  readonly uid?: number;
}

export interface Finished {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** $BLCR_STORE and the like of whoever runs the tests must not reach them. */
function cleanEnvironment(extra: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
  const { BLCR_STORE: _store, BLCR_KEY_FILE: _key, _CONDOR_JOB_AD: _ad, NODE_OPTIONS: _options, ...env } = process.env;
  return { ...env, ...extra };
}

export function startCli(program: keyof typeof FILES, args: readonly string[], options: CliOptions = {}): ChildProcess {
  const entry = fileURLToPath(new URL(FILES[program], root));
  const { cwd, env, uid, stdio = ['ignore', 'pipe', 'pipe'] } = options;
  return spawn(process.execPath, ['--import', import.meta.resolve('tsx'), entry, ...args], {
    ...(cwd === undefined ? {} : { cwd }),
    ...(uid === undefined ? {} : { uid, gid: uid }),
    env: cleanEnvironment(env),
    stdio: [...stdio],
    // A process group of its own, as a batch system would give it.
    detached: true,
  });
}

export async function finishCli(child: ChildProcess): Promise<Finished> {
  const texts = { stdout: '', stderr: '' };
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    texts.stdout += text;
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    texts.stderr += text;
  });
  const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
  return { code, signal, ...texts };
}

export async function runCli(
  program: keyof typeof FILES,
  args: readonly string[],
  options: CliOptions = {},
): Promise<Finished> {
  return await finishCli(startCli(program, args, options));
}
