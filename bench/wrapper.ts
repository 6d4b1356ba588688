/**
 * What the wrapper itself costs a job, in both its forms: bytes that are transferred, time from the command to the program's first word, and
 * the memory of wrapper and keeper while the program sleeps, before its first checkpoint and after it.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { residentSize } from '../lib/native/memory.ts';
import { benchOptions } from './support/arguments.ts';
import { root, scratch } from './support/programs.ts';
import { megabytes, milliseconds, printHeader, printTable, type Row } from './support/report.ts';
import { median } from './support/statistics.ts';

const options = benchOptions({ rounds: 9, sizeMiB: 1 });
const MOST_BYTES = 40e6;
const MOST_START_MS = 500;
const MOST_MEMORY_BYTES = 60e6;
/** Until what a start or a checkpoint has left is collected; idle means minutes. */
const SETTLED_MS = 4000;

const single = join(scratch, 'blcr_wrapper');
execFileSync(process.execPath, [join(root, 'scripts/build-wrapper.mjs')]);
copyFileSync(join(root, 'dist/blcr_wrapper'), single);
mkdirSync(join(scratch, 'store'));

interface Form {
  readonly name: string;
  readonly command: string;
}

const FORMS: readonly Form[] = [
  { name: 'single file', command: single },
  { name: 'installed, by node', command: join(root, 'bin/blcr_wrapper') },
];

let jobs = 0;

function run({ command }: Form): ChildProcess {
  const cwd = join(scratch, `job-${++jobs}`);
  mkdirSync(cwd);
  const args = [
    'run',
    '--store',
    `file://${scratch}/store`,
    '--id',
    `job-${jobs}`,
    '--every',
    '24h',
    '--first',
    '24h',
    '--json',
  ];
  const program = ['--', '/bin/sh', '-c', 'echo; exec sleep 1000'];
  return spawn(command, [...args, ...program], { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
}

async function end(wrapper: ChildProcess): Promise<void> {
  const closed = once(wrapper, 'close');
  wrapper.kill('SIGKILL');
  await closed;
}

async function startMs(form: Form): Promise<number> {
  const began = performance.now();
  const wrapper = run(form);
  if (wrapper.stdout === null) throw new Error('no pipe');
  await once(wrapper.stdout, 'data');
  const elapsed = performance.now() - began;
  await end(wrapper);
  return elapsed;
}

/** Wrapper and keeper; the program is the keeper's child. */
function idleBytes({ pid = 0 }: ChildProcess): number {
  const keeper = Number(execFileSync('pgrep', ['-P', String(pid)], { encoding: 'utf8' }));
  return residentSize(pid).bytes + residentSize(keeper).bytes;
}

async function memory(form: Form): Promise<{ readonly before: number; readonly after: number }> {
  const wrapper = run(form);
  if (wrapper.stdout === null || wrapper.stderr === null) throw new Error('no pipe');
  await once(wrapper.stdout, 'data');
  await sleep(SETTLED_MS);
  const before = idleBytes(wrapper);
  wrapper.kill('SIGUSR2');
  for (let said = ''; !said.includes('"event":"checkpoint"'); ) said += String((await once(wrapper.stderr, 'data'))[0]);
  await sleep(SETTLED_MS);
  const after = idleBytes(wrapper);
  await end(wrapper);
  return { before, after };
}

const row = (what: string, value: number, most: number, show: (value: number) => string): Row => ({
  what,
  cells: [show(value)],
  target: `≤ ${show(most)}`,
  isReached: value <= most,
});

printHeader('the wrapper');
const rows: Row[] = [row('single file, size', statSync(single).size, MOST_BYTES, megabytes)];
for (const form of FORMS) {
  const times: number[] = [];
  await startMs(form); // from the disk
  for (let round = 0; round < options.rounds; ++round) times.push(await startMs(form));
  const { before, after } = await memory(form);
  rows.push(row(`${form.name}, start`, median(times), MOST_START_MS, milliseconds));
  rows.push(row(`${form.name}, idle before a checkpoint`, before, MOST_MEMORY_BYTES, megabytes));
  rows.push(row(`${form.name}, idle after one`, after, MOST_MEMORY_BYTES, megabytes));
}
printTable(['measured'], rows);
