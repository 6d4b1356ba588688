/**
 * A checkpoint into a Chirp server on this machine, from the request until it is safe there, against chirp_put of a file of that size. All
 * files are in memory. The target is for a program that rests meanwhile, as chirp_put has nothing beside it either; a program that computes and
 * writes to all its memory is reported as well.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type BenchOptions, benchOptions } from './support/arguments.ts';
import { Job } from './support/job.ts';
import { root, scratch } from './support/programs.ts';
import { printHeader, printTable, type Row, rate, ratio } from './support/report.ts';
import { type Comparison, compare, interleave } from './support/statistics.ts';
import { Record } from './support/victim.ts';

const { CHIRP_HOST: host, CHIRP_PORT: port } = process.env;

/** Everything is written between two checkpoints, so that each has to ship all of it. */
async function measure(
  address: string,
  victim: 'changer' | 'writer',
  { sizeMiB, rounds }: BenchOptions,
  put: () => Promise<number>,
): Promise<Comparison> {
  const record = new Record(victim);
  const args = victim === 'changer' ? [`${sizeMiB}`, 'all'] : [`${sizeMiB}`, '100', '4k'];
  const store = `chirp://${address}/`;
  const job = new Job({ store, id: victim, victim, args, record, options: ['--keep', '1'] });
  const checkpoint = async (): Promise<number> => {
    if (victim === 'changer') await job.change();
    const { storedBytes, contextBytes, totalMs } = await job.checkpoint();
    if (storedBytes < 0.9 * contextBytes) throw new Error(`only ${storedBytes} of ${contextBytes} bytes were shipped`);
    return (contextBytes / totalMs) * 1000;
  };
  try {
    await job.started();
    await record.untilReady();
    await checkpoint();
    return compare(await interleave(rounds, checkpoint, put));
  } finally {
    await job.kill();
  }
}

async function main(address: string): Promise<void> {
  const options = benchOptions({ rounds: 7, sizeMiB: 1024 });
  const target = cpus().length >= 4 ? 0.9 : 0.6;
  printHeader(`end to end into chirp_server, ${options.sizeMiB} MiB, ${options.rounds} pairs`);
  const file = join(scratch, 'as-large');
  writeFileSync(file, Buffer.alloc(options.sizeMiB << 20, 'x'));
  const put = async (): Promise<number> => {
    const began = performance.now();
    execFileSync('chirp_put', [file, address, '/as-large'], { stdio: 'inherit' });
    const elapsed = performance.now() - began;
    execFileSync('chirp', [address, 'rm', '/as-large'], { stdio: 'ignore' });
    return ((options.sizeMiB << 20) / elapsed) * 1000;
  };
  await put();
  const rows: Row[] = [];
  for (const victim of ['changer', 'writer'] as const) {
    const result = await measure(address, victim, options, put);
    const { low, high } = result.interval;
    const cells = [rate(result.ours), rate(result.theirs), ratio(result.ratio), `${ratio(low)} … ${ratio(high)}`];
    const verdict = { target: `≥ ${target} on ${cpus().length} cores`, isReached: result.ratio >= target };
    rows.push(victim === 'changer' ? { what: 'rate', cells, ...verdict } : { what: 'beside a busy program', cells });
  }
  printTable(['ours', 'chirp_put', 'ratio', '95 %'], rows);
}

if (host === undefined || port === undefined) {
  const own = ['--', process.execPath, '--import', 'tsx', fileURLToPath(import.meta.url), ...process.argv.slice(2)];
  const env = { ...process.env, ...(existsSync('/dev/shm') ? { TMPDIR: '/dev/shm' } : {}) };
  process.exitCode = spawnSync(join(root, 'scripts/with-chirp-server'), own, { stdio: 'inherit', env }).status ?? 1;
} else {
  await main(`${host}:${port}`);
}
