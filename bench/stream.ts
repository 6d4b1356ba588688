/**
 * How fast a context gets into a pipe that another process reads, against process_vm_readv + write into the same kind of pipe. The plain dump
 * stops the program and has the machine for itself, so the targets are for a program that rests; what remains of them beside a program that
 * computes, which may take a third of two cores, is reported as well.
 */
import { benchOptions } from './support/arguments.ts';
import { dumpPairs } from './support/dumps.ts';
import { printHeader, printTable, type Row, rate, ratio } from './support/report.ts';
import { compare } from './support/statistics.ts';
import { startVictim, type Victim } from './support/victim.ts';

const options = benchOptions({ rounds: 9, sizeMiB: 1024 });

const CASES = [
  { name: 'with checksums', checksum: true, target: 1.3 },
  { name: 'without checksums', checksum: false, target: 2 },
] as const;

async function measure(what: string, victim: Victim, one: (typeof CASES)[number], isBusy: boolean): Promise<Row> {
  const pairs = await dumpPairs(options.rounds, victim, { checksum: one.checksum });
  const result = compare(
    pairs.map(({ ours, theirs }) => ({ ours: ours.bytesPerSecond, theirs: theirs.bytesPerSecond })),
  );
  const { low, high } = result.interval;
  const cells = [rate(result.ours), rate(result.theirs), ratio(result.ratio), `${ratio(low)} … ${ratio(high)}`];
  return { what, cells, ...(isBusy ? {} : { target: `≥ ${one.target}`, isReached: result.ratio >= one.target }) };
}

printHeader(`stream, ${options.sizeMiB} MiB`);
const rows: Row[] = [];
for (const pages of ['4k', 'thp'] as const) {
  for (const isBusy of [false, true]) {
    // One per cent written: the rate is to be that of the dump, not of the program's copies on write.
    const victim = await startVictim('writer', [`${options.sizeMiB}`, isBusy ? '1' : '0', pages]);
    for (const one of CASES) {
      const what = `${pages} pages, ${one.name}${isBusy ? ', beside a busy program' : ''}`;
      if (what.includes(options.only)) rows.push(await measure(what, victim, one, isBusy));
    }
    await victim[Symbol.asyncDispose]();
  }
}
printTable(['ours', 'plain', 'ratio', '95 %'], rows);
