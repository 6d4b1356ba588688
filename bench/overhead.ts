/**
 * What a program pays for being checkpointable while nothing is being checkpointed: system calls (strace -c) and time, with the keeper as its
 * parent and after a checkpoint has been taken of it, against the same program started without.
 */
import { type ChildProcess, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { requestCheckpoint } from '../lib/checkpoint/request.ts';
import { benchOptions } from './support/arguments.ts';
import { compiled, finish, nativeDirectory, run, scratch, start } from './support/programs.ts';
import { printHeader, printTable, type Row, ratio } from './support/report.ts';
import { openSink } from './support/sink.ts';
import { compare, interleave } from './support/statistics.ts';

const options = benchOptions({ rounds: 30, sizeMiB: 1 });
const KEEPER = [join(nativeDirectory, 'blcr-keeper'), 'run', '--'];
const UPPER_BOUND = 1.03;

/** Units of about a third of a second each. */
const KINDS = [
  { kind: 'cpu', units: 300, title: 'CPU-bound' },
  { kind: 'malloc', units: 500, title: 'malloc-heavy' },
  { kind: 'pipe', units: 50, title: 'pipe-heavy' },
  { kind: 'exec', units: 400, title: 'fork+exec-heavy' },
] as const;

const workOf = (kind: string, units: number): readonly string[] => [compiled('victims/work.c'), kind, `${units}`];

/** Lets the program work as soon as it is ready and `prepare` is done. */
async function answer(child: ChildProcess, prepare: () => Promise<void>): Promise<number> {
  const [lines] = await Promise.all([linesOf(child, prepare), finish(child)]);
  return Number(lines.at(-1)) / 1e6;
}

async function linesOf(child: ChildProcess, prepare: () => Promise<void>): Promise<readonly string[]> {
  if (child.stdout === null) throw new Error('the program has no standard output');
  const lines: string[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    lines.push(line);
    if (line !== 'ready') continue;
    await prepare();
    child.stdin?.end('\n');
  }
  return lines;
}

/** Milliseconds, as the program measures itself. */
async function plainRun(work: readonly string[]): Promise<number> {
  return await answer(start([...work, 'wait'], ['pipe', 'pipe', 'inherit']), async () => undefined);
}

async function keptRun(work: readonly string[]): Promise<number> {
  const [keeper = '', command = ''] = KEEPER;
  const child = start([keeper, command, '--report', '3', '--', ...work, 'wait'], ['pipe', 'pipe', 'inherit', 'pipe']);
  const report = child.stdio[3] as NodeJS.ReadableStream;
  const line = await new Promise<string>((resolve) =>
    report.once('data', (chunk: Buffer) => resolve(chunk.toString())),
  );
  return await answer(child, async () => {
    const sink = openSink();
    await requestCheckpoint({ target: Number(line.split(' ')[1]), to: sink.fd }).finally(() => sink.closeWriter());
    await sink.done;
  });
}

/** Calls by name, as strace counts them over the program and all its children. */
async function countCalls(prefix: readonly string[], work: readonly string[]): Promise<ReadonlyMap<string, number>> {
  const file = join(scratch, 'calls');
  await run([...prefix, 'strace', '-f', '-c', '-o', file, ...work]);
  const rows = readFileSync(file, 'utf8').matchAll(/^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?(\w+)$/gm);
  return new Map(
    [...rows].flatMap(([, calls, name = '']) => (name === 'total' ? [] : [[name, Number(calls)] as const])),
  );
}

async function callRow(title: string, work: readonly string[]): Promise<Row> {
  const plain = await countCalls([], work);
  const kept = await countCalls(KEEPER, work);
  const more = [...kept].flatMap(([name, calls]) => {
    const extra = calls - (plain.get(name) ?? 0);
    return extra > 0 ? [`${name} +${extra}`] : [];
  });
  const sum = (calls: ReadonlyMap<string, number>) =>
    `${[...calls.values()].reduce((total, count) => total + count, 0)} calls`;
  return {
    what: `${title}: system calls`,
    cells: [sum(kept), sum(plain), more.length === 0 ? 'none more' : more.join(' '), ''],
    target: 'none more',
    isReached: more.length === 0,
  };
}

async function timeRow(title: string, work: readonly string[]): Promise<Row> {
  const result = compare(
    await interleave(
      options.rounds,
      () => keptRun(work),
      () => plainRun(work),
    ),
  );
  const { low, high } = result.interval;
  return {
    what: `${title}: time`,
    cells: [
      `${result.ours.toFixed(1)} ms`,
      `${result.theirs.toFixed(1)} ms`,
      ratio(result.ratio),
      `${ratio(low)} … ${ratio(high)}`,
    ],
    target: `95 %: low ≤ 1, high ≤ ${UPPER_BOUND}`,
    isReached: low <= 1 && high <= UPPER_BOUND,
  };
}

printHeader(`overhead between checkpoints, ${options.rounds} pairs`);
const hasStrace = spawnSync('strace', ['-V']).error === undefined;
if (!hasStrace) process.stdout.write('strace is not installed: system calls are not counted\n');
const rows: Row[] = [];
for (const { kind, units, title } of KINDS.filter(({ title }) => title.includes(options.only))) {
  const work = workOf(kind, units);
  // The traced run is slow: a tenth of the work has the same calls in the same proportions.
  if (hasStrace) rows.push(await callRow(title, workOf(kind, units / 10)));
  rows.push(await timeRow(title, work));
}
printTable(['ours', 'plain', 'ratio', '95 %'], rows);
