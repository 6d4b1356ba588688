/** A checkpoint into a Chirp server on this machine, from the request until it is safe there, against chirp_put of a file of that size. */
import { execFileSync, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { benchOptions } from './support/arguments.ts';
import { Job } from './support/job.ts';
import { root, scratch } from './support/programs.ts';
import { printHeader, printTable, rate, ratio } from './support/report.ts';
import { compare, interleave } from './support/statistics.ts';
import { Record } from './support/victim.ts';

const { CHIRP_HOST: host, CHIRP_PORT: port } = process.env;

async function main(address: string): Promise<void> {
  const options = benchOptions({ rounds: 7, sizeMiB: 1024 });
  const target = cpus().length >= 4 ? 0.9 : 0.6;
  printHeader(`end to end into chirp_server, ${options.sizeMiB} MiB, ${options.rounds} pairs`);
  const file = join(scratch, 'as-large');
  const record = new Record('record');
  writeFileSync(file, Buffer.alloc(options.sizeMiB << 20, 'x'));
  const put = async (): Promise<number> => {
    const began = performance.now();
    execFileSync('chirp_put', [file, address, '/as-large'], { stdio: 'inherit' });
    const elapsed = performance.now() - began;
    execFileSync('chirp', [address, 'rm', '/as-large'], { stdio: 'ignore' });
    return ((options.sizeMiB << 20) / elapsed) * 1000;
  };
  // Everything is written between two checkpoints, so that each has to ship all of it.
  const args = [`${options.sizeMiB}`, '100', '4k'];
  const job = new Job({
    store: `chirp://${address}/`,
    id: 'end-to-end',
    victim: 'writer',
    args,
    record,
    options: ['--keep', '1'],
  });
  const checkpoint = async (): Promise<number> => {
    const { storedBytes, contextBytes, totalMs } = await job.checkpoint();
    if (storedBytes < 0.9 * contextBytes) throw new Error(`only ${storedBytes} of ${contextBytes} bytes were shipped`);
    return (contextBytes / totalMs) * 1000;
  };
  try {
    await job.started();
    await record.untilReady();
    await checkpoint();
    await put();
    const result = compare(await interleave(options.rounds, checkpoint, put));
    const { low, high } = result.interval;
    const cells = [rate(result.ours), rate(result.theirs), ratio(result.ratio), `${ratio(low)} … ${ratio(high)}`];
    const verdict = { target: `≥ ${target} on ${cpus().length} cores`, isReached: result.ratio >= target };
    printTable(['ours', 'chirp_put', 'ratio', '95 %'], [{ what: 'rate', cells, ...verdict }]);
  } finally {
    await job.kill();
  }
}

if (host === undefined || port === undefined) {
  const own = ['--', process.execPath, '--import', 'tsx', fileURLToPath(import.meta.url), ...process.argv.slice(2)];
  process.exitCode = spawnSync(join(root, 'scripts/with-chirp-server'), own, { stdio: 'inherit' }).status ?? 1;
} else {
  await main(`${host}:${port}`);
}
