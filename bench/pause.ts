/**
 * How long a program stands still while it is checkpointed, against a plain stop-and-copy dump of it in the same run. The program writes at
 * random places of its memory all the time and notes every gap between two writes itself.
 */
import { benchOptions } from './support/arguments.ts';
import { dumpPairs } from './support/dumps.ts';
import { fraction, milliseconds, printHeader, printTable, type Row } from './support/report.ts';
import { compare } from './support/statistics.ts';
import { startVictim } from './support/victim.ts';

const options = benchOptions({ rounds: 7, sizeMiB: 2048 });

interface Case {
  readonly sizeMiB: number;
  readonly writeSet: number;
  readonly pages: '4k' | 'thp';
  /** Of what takes our context; the plain dump's is always as fast as can be. */
  readonly bytesPerSecond?: number;
  /** Greatest allowed ratios to the plain dump; undefined = reported only. */
  readonly stopTarget?: number;
  readonly gapTarget?: number;
}

const CASES: readonly Case[] = [
  { sizeMiB: 64, writeSet: 10, pages: '4k', stopTarget: 1 / 8, gapTarget: 1 / 5 },
  { sizeMiB: 64, writeSet: 10, pages: '4k', bytesPerSecond: 10e6, stopTarget: 1 / 8, gapTarget: 1 / 5 },
  { sizeMiB: options.sizeMiB, writeSet: 10, pages: '4k', stopTarget: 1 / 30, gapTarget: 1 / 12 },
  { sizeMiB: options.sizeMiB, writeSet: 100, pages: '4k' },
  { sizeMiB: options.sizeMiB, writeSet: 10, pages: 'thp' },
  { sizeMiB: options.sizeMiB, writeSet: 100, pages: 'thp' },
];

async function measure(one: Case, name: string): Promise<readonly Row[]> {
  await using victim = await startVictim('writer', [`${one.sizeMiB}`, `${one.writeSet}`, one.pages]);
  const pairs = await dumpPairs(options.rounds, victim, {
    checksum: true,
    ...(one.bytesPerSecond === undefined ? {} : { bytesPerSecond: one.bytesPerSecond }),
  });
  const row = (what: string, key: 'stopMs' | 'gapMs', target: number | undefined): Row => {
    const result = compare(pairs.map(({ ours, theirs }) => ({ ours: ours[key], theirs: theirs[key] })));
    const interval = `${fraction(result.interval.low)} … ${fraction(result.interval.high)}`;
    return {
      what: `${name}: ${what}`,
      cells: [milliseconds(result.ours), milliseconds(result.theirs), fraction(result.ratio), interval],
      ...(target === undefined ? {} : { target: `≤ ${fraction(target)}`, isReached: result.ratio <= target }),
    };
  };
  return [row('stop', 'stopMs', one.stopTarget), row('longest gap', 'gapMs', one.gapTarget)];
}

printHeader('pause');
const rows: Row[] = [];
for (const one of CASES) {
  const speed = one.bytesPerSecond === undefined ? '' : `, read at ${one.bytesPerSecond / 1e6} MB/s`;
  const name = `${one.sizeMiB} MiB, ${one.pages} pages, ${one.writeSet} % written${speed}`;
  if (name.includes(options.only)) rows.push(...(await measure(one, name)));
}
printTable(['ours', 'plain', 'ratio', '95 %'], rows);
