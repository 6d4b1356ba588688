/** A program's run, whole or in several lives: checkpointed, killed, restarted from the context alone. */
import { closeSync, openSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { requestCheckpoint } from '../../lib/checkpoint/request.ts';
import { requestRestart } from '../../lib/checkpoint/restart.ts';
import type { ExitStatus } from '../../lib/checkpoint/types.ts';
import { launchProgram } from '../../lib/job/launch-program.ts';
import { trySignal } from '../../lib/job/process-tree.ts';
import { errorCode } from '../../lib/util/error-facts.ts';

/** What a whole run and an interrupted one have in common when all is well. */
export interface Ending {
  readonly status: ExitStatus;
  readonly output: string;
}

/** One life of a program: what a request for its checkpoint names, and how it is killed. */
export interface Life {
  /** The child of this process that it lives below. */
  readonly root: number;
  readonly target: number;
  readonly exit: Promise<ExitStatus>;
  readonly kill: () => void;
}

export const outputPath = (directory: string): string => join(directory, 'out');

/** The first life. Its output is the file `out` in the directory, what it complains of in `err`. */
export async function startIn(directory: string, [command, ...args]: readonly [string, ...string[]]): Promise<Life> {
  const files = [
    openSync('/dev/null', 'r'),
    openSync(outputPath(directory), 'a'),
    openSync(join(directory, 'err'), 'a'),
  ];
  try {
    const program = await launchProgram(command, { args, cwd: directory, stdio: files as [number, number, number] });
    const { pid: root, target, exit } = program;
    return { root, target, exit, kill: () => program.kill() };
  } finally {
    for (const fd of files) closeSync(fd);
  }
}

/**
 * A later life, from a context file.
 * @param beside The earlier one may still be there, as with a job that has a store, whose incarnations the store orders.
 */
export async function restartFrom(context: string, beside = false): Promise<Life> {
  const from = openSync(context, 'r');
  const onStoreRequest = (): Promise<never> => Promise.reject(new Error('there is no store'));
  try {
    const { pid, exit } = await requestRestart(beside ? { from, onStoreRequest } : { from });
    return { root: pid, target: pid, exit, kill: () => trySignal(pid, 'SIGKILL') };
  } finally {
    closeSync(from);
  }
}

/** Writes a context of a living program. @param dies It is killed before it does anything more. */
export async function checkpointTo(
  context: string,
  life: Life,
  dies: boolean,
  snapshot: 'fork' | 'plain' = 'fork',
): Promise<void> {
  const to = openSync(context, 'w', 0o600);
  try {
    await requestCheckpoint({ target: life.target, to, ...(dies ? { signal: 9 } : { snapshot }) });
  } finally {
    closeSync(to);
  }
}

/** As the wrapper does it: what cannot be saved at this moment may be later, such as a connection that waits to be accepted. */
async function checkpointInTime(context: string, life: Life, dies: boolean): Promise<void> {
  for (let left = 50; ; left--) {
    try {
      return await checkpointTo(context, life, dies);
    } catch (error) {
      if (left === 0 || errorCode(error) !== 'CR_ETEMPFAIL') throw error;
      await delay(20);
    }
  }
}

export async function endOf(directory: string, life: Life): Promise<Ending> {
  const status = await life.exit;
  return { status, output: readFileSync(outputPath(directory), 'utf8') };
}

function linesIn(directory: string): number {
  const path = outputPath(directory);
  return statSync(path).size === 0 ? 0 : readFileSync(path, 'latin1').split('\n').length - 1;
}

/** Waits for a number of lines of output. @throws when the program ends before. */
async function awaitLines(directory: string, life: Life, lines: number): Promise<void> {
  let ended: ExitStatus | undefined;
  void life.exit.then((status) => {
    ended = status;
  });
  while (linesIn(directory) < lines) {
    if (ended !== undefined) {
      const complaint = readFileSync(join(directory, 'err'), 'utf8');
      throw new Error(`it ended before line ${lines} (${ended.signal ?? ended.exitCode})\n${complaint}`);
    }
    await delay(10);
  }
}

export interface Interruptions {
  /** Lines of output before each checkpoint. */
  readonly marks: readonly number[];
  /** Every other life runs on for two lines, which the next one takes back; else, and otherwise, it dies inside the stop. */
  readonly runsOn: boolean;
  /** Between two lives. @param pid The program's own, in all of them. */
  meanwhile?(pid: number): void;
}

/**
 * Runs a program in as many lives as there are marks, and one more, which goes on for two lines and is told that it is enough.
 */
export async function runInterrupted(
  directory: string,
  command: readonly [string, ...string[]],
  { marks, runsOn, meanwhile }: Interruptions,
): Promise<Ending> {
  let life = await startIn(directory, command);
  const pid = life.target;
  try {
    for (const [index, mark] of marks.entries()) {
      await awaitLines(directory, life, mark);
      const context = join(directory, `context-${index}`);
      const dies = !runsOn || index % 2 === 1;
      await checkpointInTime(context, life, dies);
      if (!dies) await awaitLines(directory, life, mark + 2);
      life.kill();
      await life.exit;
      meanwhile?.(pid);
      life = await restartFrom(context);
    }
    await awaitLines(directory, life, linesIn(directory) + 2);
    writeFileSync(join(directory, 'enough'), '');
    return await endOf(directory, life);
  } finally {
    life.kill();
  }
}
