/** How fast a context gets into a pipe that another process reads, against process_vm_readv + write into the same kind of pipe. */
import { benchOptions } from './support/arguments.ts';
import { dumpPairs } from './support/dumps.ts';
import { printHeader, printTable, type Row, rate, ratio } from './support/report.ts';
import { compare } from './support/statistics.ts';
import { startVictim } from './support/victim.ts';

const options = benchOptions({ rounds: 9, sizeMiB: 1024 });

const CASES = [
  { name: 'with checksums', checksum: true, target: 1.3 },
  { name: 'without checksums', checksum: false, target: 2 },
] as const;

printHeader(`stream, ${options.sizeMiB} MiB`);
const rows: Row[] = [];
for (const pages of ['4k', 'thp'] as const) {
  // One per cent written: the rate is to be that of the dump, not of the program's copies on write.
  await using victim = await startVictim('writer', [`${options.sizeMiB}`, '1', pages]);
  for (const { name, checksum, target } of CASES) {
    const what = `${pages} pages, ${name}`;
    if (!what.includes(options.only)) continue;
    const pairs = await dumpPairs(options.rounds, victim, { checksum });
    const result = compare(
      pairs.map(({ ours, theirs }) => ({ ours: ours.bytesPerSecond, theirs: theirs.bytesPerSecond })),
    );
    rows.push({
      what,
      cells: [
        rate(result.ours),
        rate(result.theirs),
        ratio(result.ratio),
        `${ratio(result.interval.low)} … ${ratio(result.interval.high)}`,
      ],
      target: `≥ ${target}`,
      isReached: result.ratio >= target,
    });
  }
}
printTable(['ours', 'plain', 'ratio', '95 %'], rows);
