/** Whether genuine BLCR works on this host, found out by doing it. */
import { closeSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Probe } from '../../checkpoint/probe.ts';
import type { Provider } from '../../checkpoint/types.ts';
import { CheckpointError } from '../../errors.ts';
import { errorMessage } from '../../util/error-facts.ts';
import type { Engine, RunningProcess } from '../engine.ts';
import { blcrEngine } from './engine.ts';

/** Longer than the probe takes anywhere; a program that was forgotten ends by itself. */
const PROGRAM = ['sleep', '120'] as const;
const LIMIT_MS = 60_000;
const LOAD_MS = 10_000;
const LOOK_AGAIN_MS = 50;

/** Lets BLCR checkpoint, kill and restart a program that cr_run has started; at most about 60 s. Never rejects. */
export async function probeBlcr(provider: Provider): Promise<Probe> {
  const facts = { userNamespaces: false, kernel: release() };
  try {
    await inOwnDirectory((directory) => saveAndRestart(blcrEngine(provider), directory));
    return { ok: true, reason: '', ...facts };
  } catch (error) {
    return { ok: false, reason: errorMessage(error), ...facts };
  }
}

async function inOwnDirectory(work: (directory: string) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'blcr-probe-'));
  try {
    await work(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

async function saveAndRestart(engine: Engine, directory: string): Promise<void> {
  const limit = AbortSignal.timeout(LIMIT_MS);
  const path = join(directory, 'context');
  const program = await launch(engine, directory);
  try {
    await checkpoint(engine, program.target, path, limit);
  } finally {
    await end(program);
  }
  const from = openSync(path, 'r');
  try {
    await end(engine.adopt(await engine.restart({ from, abort: limit }).done));
  } finally {
    closeSync(from);
  }
}

async function launch(engine: Engine, cwd: string): Promise<RunningProcess> {
  const nothing = openSync('/dev/null', 'r+');
  try {
    const [command, ...args] = PROGRAM;
    const stdio = [nothing, nothing, nothing] as const;
    return await engine.launch({ command, args, cwd, env: process.env, stdio, onLimitation: () => undefined });
  } finally {
    closeSync(nothing);
  }
}

/** A request that comes before the program has loaded its libcr is refused: asked again then. */
/** A request that comes before the program has loaded its libcr is refused: asked again then. */
async function checkpoint(engine: Engine, target: number, path: string, abort: AbortSignal): Promise<void> {
  const to = openSync(path, 'wx', 0o600);
  try {
    for (let patience = LOAD_MS; ; patience -= LOOK_AGAIN_MS) {
      try {
        await engine.checkpoint({ target, to, abort }).done; // libcr may refuse at once, or later
        return;
      } catch (error) {
        if (patience < 0 || !(error instanceof CheckpointError) || error.code !== 'CR_ENOSUPPORT') throw error;
      }
      await delay(LOOK_AGAIN_MS);
    }
  } finally {
    closeSync(to);
  }
}

async function end(program: RunningProcess): Promise<void> {
  program.kill();
  const { signal, exitCode } = await program.exit;
  if (signal !== 'SIGKILL') throw new Error(`${PROGRAM[0]} ended too early (${signal ?? `exit code ${exitCode}`})`);
}
