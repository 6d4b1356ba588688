/** What the tests inside the machine share: which libcr is there, programs to checkpoint, patience. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { launchProgram, openProvider, type Provider, type RunningProcess } from 'node-blcr';

export const provider: Provider = openProvider();
export const isGenuine: boolean = provider.info.kind === 'blcr';

/** The machine may be software-emulated: thirty times slower than others. */
export const PATIENCE_MS = 1_800_000;

/** Where the programs' sources are. */
const programs = new URL('./programs/', import.meta.url).pathname;

export function temporaryDirectory(context: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'blcr-suite-'));
  context.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** Path of a compiled C program. */
export function compile(name: string, directory: string): string {
  const output = join(directory, name);
  execFileSync('gcc', ['-O1', '-Wall', '-o', output, join(programs, `${name}.c`), '-lpthread'], { stdio: 'inherit' });
  return output;
}

export const script = (name: string): string => join(programs, name);

/** Taken by BLCR's libraries before main() begins. Source: docs/libcr.md. */
const BLCR_SIGNAL = 64;

/** Source: proc(5), /proc/PID/status, SigCgt. */
function handlesSignal(pid: number, signal: number): boolean {
  const mask = /^SigCgt:\s*([0-9a-f]+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? '0';
  return ((BigInt(`0x${mask}`) >> BigInt(signal - 1)) & 1n) === 1n;
}

/** A program that can be checkpointed and is killed when the test ends. */
export async function start(context: TestContext, command: string, ...args: string[]): Promise<RunningProcess> {
  const program = await launchProgram(command, { args });
  context.after(async () => {
    program.kill();
    await program.exit;
  });
  // A request that comes before BLCR's preloaded library finds no libcr.
  if (isGenuine) await until(() => handlesSignal(program.target, BLCR_SIGNAL));
  return program;
}

export const startSleeper = (context: TestContext): Promise<RunningProcess> => start(context, 'sleep', '1000');

export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await delay(50);
}
