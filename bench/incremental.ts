/** What a checkpoint adds to a store when the job changed one per cent of its memory, and what the store holds after many of them. */
import { mkdirSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { benchOptions } from './support/arguments.ts';
import { Job } from './support/job.ts';
import { scratch } from './support/programs.ts';
import { percent, printHeader, printTable, type Row } from './support/report.ts';
import { Record } from './support/victim.ts';

const options = benchOptions({ rounds: 100, sizeMiB: 512 });

function bytesBelow(directory: string): number {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((total, entry) => total + statSync(join(entry.parentPath, entry.name)).size, 0);
}

async function measure(kind: 'area' | 'scatter', checkpoints: number, allowed: number): Promise<readonly Row[]> {
  const directory = join(scratch, kind);
  mkdirSync(directory);
  const record = new Record(`record-${kind}`);
  const job = new Job({
    store: `file://${directory}`,
    id: kind,
    victim: 'changer',
    args: [`${options.sizeMiB}`, kind],
    record,
  });
  try {
    await job.started();
    await record.untilReady();
    const first = await job.checkpoint();
    await job.change();
    const second = await job.checkpoint();
    const share = second.storedBytes / first.storedBytes;
    const row = {
      what: `second checkpoint, 1 % changed, ${kind}`,
      cells: [
        `${(second.storedBytes / 1e6).toFixed(1)} MB`,
        `${(first.storedBytes / 1e6).toFixed(1)} MB`,
        percent(share),
      ],
      target: `≤ ${percent(allowed)}`,
      isReached: share <= allowed,
    };
    for (let count = 2; count < checkpoints; ++count) {
      await job.change();
      await job.checkpoint();
    }
    const held = bytesBelow(directory);
    const times = held / first.storedBytes;
    const size = {
      what: `store after ${checkpoints} such checkpoints, ${kind}`,
      cells: [`${(held / 1e6).toFixed(1)} MB`, `${(first.storedBytes / 1e6).toFixed(1)} MB`, percent(times)],
      target: '≤ 200 %',
      isReached: times <= 2,
    };
    return checkpoints > 2 ? [row, size] : [row];
  } finally {
    await job.kill();
  }
}

printHeader(`incremental, ${options.sizeMiB} MiB`);
const rows = [...(await measure('area', options.rounds, 0.03)), ...(await measure('scatter', options.rounds, 0.2))];
printTable(['stored', 'first', 'share'], rows);
