/** Checkpoint engines behind one face, each through its own command line as a user calls it: this package's tools, and CRIU. */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { compiled, finish, nativeDirectory, scratch, start, stop } from './programs.ts';
import { type Record, startVictim } from './victim.ts';

/** A program that runs, seen by its record, until it is ended. */
export interface Running {
  readonly pid: number;
  end(): Promise<void>;
}

export interface Engine {
  readonly name: string;
  /** Starts bench/victims/writer.c as this engine wants it and waits until its memory is filled. */
  start(record: Record, args: readonly string[]): Promise<Running>;
  /** A checkpoint into `directory`, the program running on. */
  checkpoint(running: Running, directory: string): Promise<void>;
  /** Resolves when the command is under way (it may be the program's parent) or has done its work. */
  restart(running: Running, directory: string): Promise<Running>;
}

export const ours: Engine = {
  name: 'node-blcr',
  async start(record, args) {
    const victim = await startVictim('writer', args, record);
    return { pid: victim.pid, end: () => stop(victim.keeper) };
  },
  async checkpoint({ pid }, directory) {
    const file = join(directory, 'context');
    await finish(start([join(nativeDirectory, 'cr_checkpoint'), '-f', file, `${pid}`], 'inherit'));
  },
  async restart({ pid }, directory) {
    const command = [join(nativeDirectory, 'cr_restart'), join(directory, 'context')];
    const child = start(command, ['ignore', 'ignore', 'inherit']);
    const end = async (): Promise<void> => {
      child.kill('SIGTERM'); // passed on to the program; the program would outlive a SIGKILL of its parent
      await once(child, 'exit');
    };
    return { pid, end };
  },
};

/** Path of CRIU ($CRIU, else the one on PATH) when it runs here; undefined when there is none or the caller may not use it. */
export function findCriu(): { readonly path: string; readonly version: string } | undefined {
  const path = process.env['CRIU'] ?? 'criu';
  try {
    const version = /Version: (\S+)/.exec(execFileSync(path, ['--version'], { encoding: 'utf8' }))?.[1];
    return version === undefined || process.getuid?.() !== 0 ? undefined : { path, version };
  } catch {
    return undefined;
  }
}

/** Ends a process that is no child of this one, and waits until its number is free: a restart needs it. */
async function endForeign(pid: number): Promise<void> {
  for (let isAlive = true; isAlive; await sleep(2)) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      isAlive = false;
    }
  }
}

export const criu = (path: string): Engine => ({
  name: 'CRIU',
  async start(record, args) {
    // it dumps whole sessions, without a terminal
    const child = start(['setsid', compiled('victims/writer.c'), record.path, ...args], 'ignore');
    await record.untilReady();
    return { pid: child.pid ?? 0, end: () => stop(child) };
  },
  async checkpoint({ pid }, directory) {
    const command = [path, 'dump', '-t', `${pid}`, '-D', directory, '--leave-running', '-v0'];
    await finish(start(command, ['ignore', 'inherit', 'inherit']));
  },
  async restart({ pid }, directory) {
    await finish(start([path, 'restore', '-D', directory, '-d', '-v0'], ['ignore', 'inherit', 'inherit']));
    return { pid, end: () => endForeign(pid) };
  },
});

export interface Round {
  /** The longest gap that the program saw around its checkpoint. */
  readonly pauseMs: number;
  /** Wall time of the checkpoint's command. */
  readonly totalMs: number;
  readonly bytes: number;
  /** From the restart's command to the program's first new iteration. */
  readonly restartMs: number;
  /** Iterations that the program did not get to because of the checkpoint, as time at the rate before it. */
  readonly lostMs: number;
}

const sizeOf = (directory: string): number =>
  readdirSync(directory).reduce((sum, name) => sum + statSync(join(directory, name)).size, 0);

/** How long the rate is measured, and how long a program that copies its pages again is given to get back to it. */
const RATE_MS = 1000;

/** A checkpoint of a fresh program, its end, and its restart. @throws when any of them fails */
export async function roundOf(engine: Engine, record: Record, args: readonly string[]): Promise<Round> {
  const directory = join(mkdtempSync(join(scratch, 'images-')), 'images');
  mkdirSync(directory);
  const running = await engine.start(record, args);
  const before = record.iterations;
  await sleep(RATE_MS);
  const perMs = (record.iterations - before) / RATE_MS;

  const [clock, began, iterations] = [performance.now(), Date.now(), record.iterations];
  await engine.checkpoint(running, directory);
  const totalMs = performance.now() - clock;
  await sleep(RATE_MS);
  const lostMs = performance.now() - clock - (record.iterations - iterations) / perMs;
  const pauseMs = record.longestGap(began, began + totalMs);
  await running.end();

  const last = record.iterations;
  const restarted = performance.now();
  const again = await engine.restart(running, directory);
  for (const deadline = restarted + 60_000; record.iterations === last; await sleep(1)) {
    if (performance.now() > deadline) throw new Error(`${engine.name}: no progress a minute after the restart`);
  }
  const restartMs = performance.now() - restarted;
  await again.end();
  const bytes = sizeOf(directory);
  rmSync(directory, { recursive: true });
  return { pauseMs, totalMs, bytes, restartMs, lostMs };
}
