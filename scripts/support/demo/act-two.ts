/** Second act: a Python program with threads is evicted and goes on in another place; its standard output shows nothing of it. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { checkpointsOf, startOf } from '../event-log.ts';
import { Ledger } from './checkpoints.ts';
import { Incarnation } from './job.ts';
import { say, seconds } from './narrative.ts';
import { commandOf, makeScratch, type Stage } from './stage.ts';

const PYTHON = existsSync('/usr/bin/python3') ? '/usr/bin/python3' : 'python3';
const PROGRAM = fileURLToPath(new URL('./act-two.py', import.meta.url));
const EVICTED = 85;

interface Reference {
  readonly steps: number;
  readonly output: string;
}

function makeReference(shortestRunMs: number): Reference {
  for (let steps = 40; ; ) {
    const start = performance.now();
    const output = execFileSync(PYTHON, [PROGRAM, String(steps)], { encoding: 'utf8' });
    const elapsed = performance.now() - start;
    if (elapsed < shortestRunMs) {
      steps = Math.ceil((steps * 1.2 * shortestRunMs) / elapsed);
      continue;
    }
    const kind = output.startsWith('numpy True') ? 'numpy and its threads' : 'plain Python (numpy is not installed)';
    say(`uninterrupted: ${PYTHON} ${PROGRAM} ${steps} took ${seconds(elapsed)} s with ${kind}`);
    return { steps, output };
  }
}

function startNode(
  stage: Stage,
  number: number,
  steps: number,
  marker: string,
): Incarnation & { readonly stdout: string } {
  const scratch = makeScratch(stage, `python-${number}`);
  const stdout = join(scratch, 'stdout');
  const store = `chirp://${stage.chirpHost}:${stage.chirpPort}/`;
  const options = ['run', '--store', store, '--every', '60m', '--id', marker];
  const command = [commandOf(stage, 'blcr'), ...options, '--', PYTHON, PROGRAM, String(steps)];
  if (number === 1) say(`command: blcr ${command.slice(1).join(' ')} >stdout`);
  const request = { command, scratch, marker, stdout, watch: 'python3', log: join(stage.directory, 'python.log') };
  return Object.assign(new Incarnation(request), { stdout });
}

/** @returns whether everything was as it should be. */
export async function actTwo(stage: Stage, shortestRunMs: number): Promise<boolean> {
  const { steps, output } = makeReference(shortestRunMs);
  const marker = `demo-python-${process.pid}`;
  const first = startNode(stage, 1, steps, marker);
  const third = Math.floor(steps / 3);
  await first.until('a third of the work', () => readFileSync(first.stdout, 'utf8').split('\n').length > third);
  say(`node 1: ${third} of ${steps} steps done; SIGTERM to the wrapper`);
  const evictionStart = performance.now();
  first.signal('SIGTERM');
  const status = await first.end();
  say(`node 1: evicted after ${seconds(performance.now() - evictionStart)} s with exit status ${status}`);
  const ledger = new Ledger();
  ledger.add(1, first);
  const stored = checkpointsOf(first.events).at(-1);
  await first.untilGone();
  rmSync(first.scratch, { recursive: true });
  if (status !== EVICTED || stored?.reason !== 'vacate') {
    say(`act two: FAILED: exit status ${EVICTED} and a checkpoint were expected; the wrapper said:\n${first.said}`);
    return false;
  }
  const second = startNode(stage, 2, steps, marker);
  const end = await second.end();
  const started = startOf(second.events);
  ledger.add(2, second);
  say(
    `node 2: resumed from #${started?.resumedFrom}, ${seconds(started?.savedMs ?? 0)} s of work saved; it ended with exit status ${end}`,
  );
  ledger.print();
  if (end !== 0 || started?.resumedFrom === undefined || readFileSync(second.stdout, 'utf8') !== output) {
    say(
      `act two: FAILED: the output differs from the uninterrupted run's or nothing was resumed; the wrapper said:\n${second.said}`,
    );
    return false;
  }
  say(`act two: the ${output.split('\n').length - 1} lines of standard output equal the uninterrupted run's`);
  return true;
}
