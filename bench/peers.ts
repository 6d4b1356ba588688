/**
 * Checkpoint and restart by this package's utilities against CRIU's, of the same program, alternating in the same run: what the program sees
 * of a checkpoint, how long the commands take, how large the images are. Images are on a file system in memory.
 * CRIU needs root and is taken from $CRIU or PATH (Debian's package criu, of the suite sid at the time of writing).
 */
import { benchOptions } from './support/arguments.ts';
import { criu, type Engine, findCriu, ours, type Round, roundOf } from './support/engines.ts';
import { megabytes, milliseconds, printHeader, printTable, type Row, ratio } from './support/report.ts';
import { compare, interleave } from './support/statistics.ts';
import { Record } from './support/victim.ts';

const options = benchOptions({ rounds: 7, sizeMiB: 2048 });
const peer = findCriu();
if (peer === undefined) {
  process.stderr.write('peers: needs root, and CRIU on PATH or named by $CRIU\n');
  process.exit(75);
}

interface Figure {
  readonly what: string;
  readonly key: keyof Round;
  readonly format: (value: number) => string;
  /** The greatest ratio to CRIU's figure that this package sets itself. */
  readonly target: number;
}

const FIGURES: readonly Figure[] = [
  { what: 'pause', key: 'pauseMs', format: milliseconds, target: 1 },
  { what: 'whole checkpoint', key: 'totalMs', format: milliseconds, target: 2 },
  { what: 'lost work', key: 'lostMs', format: milliseconds, target: 2 },
  { what: 'image', key: 'bytes', format: megabytes, target: 1.05 },
  { what: 'restart to first progress', key: 'restartMs', format: milliseconds, target: 1.5 },
];

async function rowsOf(sizeMiB: number): Promise<readonly Row[]> {
  const theirs = criu(peer?.path ?? '');
  let started = 0;
  const one = (engine: Engine) => (): Promise<Round> =>
    roundOf(engine, new Record(`peers-${sizeMiB}-${++started}`), [`${sizeMiB}`, '100', '4k']);
  const pairs = (await interleave(options.rounds + 1, one(ours), one(theirs))).slice(1); // the first pair warms up
  return FIGURES.map(({ what, key, format, target }) => {
    const result = compare(pairs.map((pair) => ({ ours: pair.ours[key], theirs: pair.theirs[key] })));
    const interval = `${ratio(result.interval.low)} … ${ratio(result.interval.high)}`;
    return {
      what: `${sizeMiB} MiB: ${what}`,
      cells: [format(result.ours), format(result.theirs), ratio(result.ratio), interval],
      target: `≤ ${target}`,
      isReached: result.ratio <= target,
    };
  });
}

printHeader(`against CRIU ${peer.version}`);
const rows: Row[] = [];
for (const sizeMiB of [1, 64, 512, options.sizeMiB]) {
  if (`${sizeMiB} MiB`.includes(options.only)) rows.push(...(await rowsOf(sizeMiB)));
}
printTable(['ours', 'CRIU', 'ratio', '95 %'], rows);
