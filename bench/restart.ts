/**
 * From the command (`blcr run` that finds a checkpoint) to the first progress of the restarted program: a large one against
 * `cat FILE | cat >/dev/null` of as many bytes, a small one against `node -e 0`.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { benchOptions } from './support/arguments.ts';
import { Job } from './support/job.ts';
import { scratch } from './support/programs.ts';
import { milliseconds, printHeader, printTable, type Row, ratio } from './support/report.ts';
import { compare, interleave } from './support/statistics.ts';
import { Record } from './support/victim.ts';

const options = benchOptions({ rounds: 7, sizeMiB: 1024 });
const directory = join(scratch, 'store');
mkdirSync(directory);
const store = `file://${directory}`;

interface Subject {
  readonly id: string;
  readonly sizeMiB: number;
  readonly record: Record;
}

const start = ({ id, sizeMiB, record }: Subject): Job =>
  new Job({ store, id, victim: 'writer', args: [`${sizeMiB}`, '10', '4k'], record });

/** Runs the job up to its first checkpoint and loses it. @returns bytes of the context */
async function prepare(subject: Subject): Promise<number> {
  const job = start(subject);
  await job.started();
  await subject.record.untilReady();
  const { contextBytes } = await job.checkpoint();
  await job.kill();
  return contextBytes;
}

/** Milliseconds from the command to the first write of the restarted program. */
async function restart(subject: Subject): Promise<number> {
  const before = subject.record.iterations;
  const began = performance.now();
  const job = start(subject);
  try {
    for (const deadline = began + 120_000; subject.record.iterations === before; await sleep(1)) {
      if (performance.now() > deadline) throw new Error(`${subject.id}: no progress after two minutes`);
    }
    const elapsed = performance.now() - began;
    if ((await job.started()) === undefined) throw new Error(`${subject.id} began from the beginning`);
    return elapsed;
  } finally {
    await job.kill();
  }
}

function timed(command: string): number {
  const began = performance.now();
  execFileSync('/bin/sh', ['-c', command]);
  return performance.now() - began;
}

async function measure(
  what: string,
  subject: Subject,
  yardstick: string,
  allowed: (theirs: number) => number,
  target: string,
): Promise<Row> {
  const result = compare(
    await interleave(
      options.rounds,
      () => restart(subject),
      async () => timed(yardstick),
    ),
  );
  return {
    what,
    cells: [
      milliseconds(result.ours),
      milliseconds(result.theirs),
      ratio(result.ratio),
      `${ratio(result.interval.low)} … ${ratio(result.interval.high)}`,
    ],
    target,
    isReached: result.ours <= allowed(result.theirs),
  };
}

printHeader('restart from a directory store');
const small: Subject = { id: 'small', sizeMiB: 1, record: new Record('small') };
const large: Subject = { id: 'large', sizeMiB: options.sizeMiB, record: new Record('large') };
await prepare(small);
const bytes = await prepare(large);
const file = join(scratch, 'as-large');
writeFileSync(file, Buffer.alloc(bytes, 'x'));
printTable(
  ['ours', 'yardstick', 'ratio', '95 %'],
  [
    await measure(
      `${options.sizeMiB} MiB against cat | cat`,
      large,
      `cat '${file}' | cat >/dev/null`,
      (theirs) => 4 * theirs,
      '≤ 4',
    ),
    await measure(
      '1 MiB against node -e 0',
      small,
      `'${process.execPath}' -e 0`,
      (theirs) => 2 * theirs + 100,
      '≤ 2 × + 100 ms',
    ),
  ],
);
