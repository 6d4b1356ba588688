/** Starts a program under the keeper. */

import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, constants, openSync } from 'node:fs';
import { Duplex, type Readable } from 'node:stream';
import { answerStoreRequests } from '../checkpoint/store-requests.ts';
import type { ExitStatus } from '../checkpoint/types.ts';
import { JobError } from '../errors.ts';
import { withoutBundle } from '../native/bundle.ts';
import type { LaunchRequest, RunningProcess } from './engine.ts';
import { EXIT_CODES } from './exit-status.ts';
import { killMarked, newMark } from './mark.ts';
import { listDescendants, trySignal } from './process-tree.ts';
import { ChildDescriptors, findStrayDescriptors } from './stray-descriptors.ts';

/** Descriptors in the keeper: it kills the job when LIFELINE reports end-of-file, and writes one line to REPORT. */
const LIFELINE = 3;
const REPORT = 4;

/** How long the keeper may take to obey the lifeline before it is killed itself. */
const OBEDIENCE_MS = 5000;

/**
 * Launches a program as a job of its own: it dies with this process, whatever way this process goes.
 * @param keeper Path of blcr-keeper.
 * @throws {JobError} `ERR_JOB_NODE` when the keeper cannot run here, else `ERR_JOB_LAUNCH` with the system's reason (the program could not be executed).
 */
export async function launchUnderKeeper(keeper: string, request: LaunchRequest): Promise<RunningProcess> {
  const stray = findStrayDescriptors();
  const mark = newMark();
  using descriptors = new ChildDescriptors<number | 'pipe'>([...request.stdio, 'pipe', 'pipe'], stray);
  const child = spawn(keeper, [...keeperOptions(request), '--', request.command, ...request.args], {
    cwd: request.cwd,
    env: { ...withoutBundle(request.env), [mark]: '1' },
    stdio: descriptors.stdio,
    detached: !hasTerminal(),
  });
  for (const { fd, what } of stray)
    request.onLimitation(`descriptor ${fd} (${what}) leads outside of the job: the program gets /dev/null instead`);
  const lifeline = child.stdio[LIFELINE];
  if (request.onStoreRequest !== undefined && lifeline instanceof Duplex)
    answerStoreRequests(lifeline, request.onStoreRequest);
  // A keeper that was killed could not end the job.
  const exit = watchExit(child).then((status) => {
    if (status.signal === 'SIGKILL') killMarked(mark);
    return status;
  });
  const line = await Promise.race([readLine(child.stdio[REPORT] as Readable | null), failedToSpawn(child, keeper)]);
  const started = /^started (\d+)$/.exec(line);
  if (started === null) throw await launchError(line, request.command, exit);
  return runningChild(child, Number(started[1]), exit);
}

function keeperOptions({ cpuBaseline, onStoreRequest }: LaunchRequest): string[] {
  const options = ['run', '--lifeline', String(LIFELINE), '--report', String(REPORT)];
  if (onStoreRequest !== undefined) options.push('--answers');
  return cpuBaseline === undefined ? options : [...options, '--cpu-baseline', cpuBaseline];
}

/**
 * With a controlling terminal the keeper does a shell's job control in our group. Without one it leaves the group, because a signal to all of
 * it (timeout(1), some batch systems) is ours to answer: passed on by the keeper as well, an eviction would kill the program.
 */
function hasTerminal(): boolean {
  try {
    closeSync(openSync('/dev/tty', constants.O_RDWR | constants.O_NOCTTY));
    return true;
  } catch {
    return false; // ENXIO: there is none
  }
}

function runningChild(child: ChildProcess, target: number, exit: Promise<ExitStatus>): RunningProcess {
  const pid = child.pid ?? target;
  const lifeline = child.stdio[LIFELINE];
  return {
    ...processOf(pid, exit),
    target,
    kill() {
      if (lifeline === null || lifeline === undefined) {
        killTree(pid);
        return;
      }
      lifeline.destroy();
      const timer = setTimeout(() => killTree(pid), OBEDIENCE_MS);
      void exit.finally(() => clearTimeout(timer));
    },
  };
}

/** How signals reach the whole of a job. */
export interface TreeSignals {
  signal(root: number, name: NodeJS.Signals): void;
  kill(root: number): void;
}

const DESCENDANTS: TreeSignals = {
  signal(root, name) {
    for (const member of listDescendants(root)) trySignal(member, name);
  },
  kill: killTree,
};

/** A job known by the pid of our child alone. */
export function processOf(pid: number, exit: Promise<ExitStatus>, tree: TreeSignals = DESCENDANTS): RunningProcess {
  let over = false;
  const markOver = (): void => {
    over = true;
  };
  exit.then(markOver, markOver);
  return {
    pid,
    target: pid,
    exit,
    signal(name) {
      if (!over) trySignal(pid, name);
    },
    signalAll(name) {
      if (!over) tree.signal(pid, name);
    },
    kill() {
      if (!over) tree.kill(pid);
    },
  };
}

/** Descendants are listed first: they lose their parent with the kill. */
function killTree(pid: number): void {
  const members = listDescendants(pid);
  trySignal(pid, 'SIGKILL');
  for (const member of members) trySignal(member, 'SIGKILL');
}

export function watchExit(child: ChildProcess): Promise<ExitStatus> {
  return new Promise((resolve) => {
    child.once('exit', (code, signal) => {
      resolve(
        signal === null || code !== null
          ? { exitCode: code ?? EXIT_CODES.internal, signal: undefined }
          : { exitCode: undefined, signal },
      );
    });
  });
}

export function failedToSpawn(child: ChildProcess, file: string): Promise<never> {
  return new Promise((_resolve, reject) => {
    child.once('error', (cause) => {
      reject(
        new JobError(`${file} cannot be run on this node: ${cause.message}`, {
          code: 'ERR_JOB_NODE',
          exitCode: EXIT_CODES.temporary,
          cause,
        }),
      );
    });
  });
}

/** The report's one line; an empty one when the writer ended without a word. */
async function readLine(report: Readable | null): Promise<string> {
  if (report === null) return '';
  let text = '';
  for await (const chunk of report) {
    text += String(chunk);
    if (text.includes('\n')) break;
  }
  return text.split('\n', 1)[0] ?? '';
}

async function launchError(line: string, command: string, exit: Promise<ExitStatus>): Promise<JobError> {
  const failed = /^failed (-?\d+) (.*)$/.exec(line);
  const status = await exit;
  const reason = failed?.[2] ?? `the keeper ended (${status.signal ?? status.exitCode}) without having started it`;
  return new JobError(`${command} could not be started: ${reason}`, {
    code: failed === null ? 'ERR_JOB_NODE' : 'ERR_JOB_LAUNCH',
    exitCode: failed === null ? EXIT_CODES.temporary : EXIT_CODES.usage,
  });
}
