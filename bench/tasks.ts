/**
 * What one more process and one more thread add to the stop of a checkpoint: programs that rest, with few and with many tasks, checkpointed
 * in turns.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { benchOptions } from './support/arguments.ts';
import { ourDump } from './support/dumps.ts';
import { milliseconds, printHeader, printTable, type Row } from './support/report.ts';
import { median, medianInterval } from './support/statistics.ts';
import { startVictim } from './support/victim.ts';

const options = benchOptions({ rounds: 20, sizeMiB: 1 });

interface Case {
  readonly what: string;
  /** Arguments of bench/victims/tasks.c for a number of tasks. */
  readonly args: (tasks: number) => readonly string[];
  readonly few: number;
  readonly many: number;
  /** Microseconds a task. */
  readonly target?: number;
}

const CASES: readonly Case[] = [
  { what: 'process', args: (count) => [`${count}`, '0'], few: 4, many: 68, target: 1000 },
  { what: 'process of 300', args: (count) => [`${count}`, '0'], few: 4, many: 300, target: 1000 },
  { what: 'process of 20 descriptors', args: (count) => [`${count}`, '0', '20'], few: 4, many: 68 },
  { what: 'thread', args: (count) => ['0', `${count}`], few: 4, many: 68, target: 50 },
  { what: 'thread of 300', args: (count) => ['0', `${count}`], few: 4, many: 300, target: 50 },
];

/** Microseconds a task, of each pair of dumps. */
async function measure({ args, few, many, what, target }: Case): Promise<Row> {
  await using small = await startVictim('tasks', args(few));
  await using large = await startVictim('tasks', args(many));
  const each: number[] = [];
  for (let round = 0; round <= options.rounds; ++round) {
    const lower = await ourDump(small, { checksum: true });
    const upper = await ourDump(large, { checksum: true });
    if (round > 0) each.push(((upper.stopMs - lower.stopMs) * 1000) / (many - few));
    await sleep(20);
  }
  const cell = (us: number): string => milliseconds(us / 1000);
  const { low, high } = medianInterval(each);
  const middle = median(each);
  return {
    what: `one more ${what}`,
    cells: [`${middle.toFixed(1)} µs`, `${low.toFixed(1)} … ${high.toFixed(1)} µs`],
    ...(target === undefined ? {} : { target: `≤ ${cell(target)}`, isReached: middle <= target }),
  };
}

printHeader('tasks');
const rows: Row[] = [];
for (const one of CASES) if (one.what.includes(options.only)) rows.push(await measure(one));
printTable(['stop', '95 %'], rows);
