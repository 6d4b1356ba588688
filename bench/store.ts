/**
 * End to end into chirp_server on loopback, hashing on, compression off, against chirp_put of a file of the same size, interleaved; and reading
 * back. Prints medians and ratios.
 *
 *     npm run build:ts && node --import tsx bench/store.ts [MiB, default 1024] [rounds, default 5]
 *
 * Threads start from dist (as in the installed package) when it exists.
 */
import { execFileSync, spawn } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import type { CheckpointRecord, Store } from '../lib/store/types.ts';
import { contextStream, randomMemory } from '../test/store/streams.ts';
import { ChirpServer } from '../test/support/chirp-server.ts';

const [mebibytes = '1024', rounds = '5'] = process.argv.slice(2);
const { openStore } = await load();

async function load(): Promise<{ openStore: (url: string) => Promise<Store> }> {
  try {
    return (await import(
      new URL('../dist/store/index.js', import.meta.url).href
    )) as typeof import('../lib/store/index.ts');
  } catch {
    return await import('../lib/store/index.ts');
  }
}

const RECORD: CheckpointRecord = {
  identity: { argv: [], executable: '', inputs: {} },
  provider: 'userspace',
  host: 'bench',
  scratch: '/',
  cwd: '/',
  reason: 'request',
  runtimeMs: 0,
};

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
}

async function seconds(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return (performance.now() - start) / 1000;
}

function writeContext(path: string, size: number): void {
  const fd = openSync(path, 'w');
  for (const part of contextStream(randomMemory(size))) writeSync(fd, part);
  closeSync(fd);
}

/** A producer of its own, like the engine: 1 MiB writes into a pipe. */
function produce(path: string, fifo: string): Promise<unknown> {
  const child = spawn('dd', [`if=${path}`, `of=${fifo}`, 'bs=1M', 'status=none'], { stdio: 'ignore' });
  return new Promise((resolve) => child.once('close', resolve));
}

async function storeOnce(
  url: string,
  path: string,
  fifo: string,
  job: string,
): Promise<{ write: number; read: number }> {
  await using store = await openStore(url);
  await using claim = await store.claim(job);
  const write = await seconds(async () => {
    const complete = produce(path, fifo);
    const contextFd = openSync(fifo, 'r');
    await claim.write({ contextFd, complete, files: async () => [], record: () => RECORD });
  });
  const stored = await claim.open(1);
  const read = await seconds(async () => {
    const reader = spawn('sh', ['-c', `exec cat ${fifo} > /dev/null`], { stdio: 'ignore' });
    const ended = new Promise((resolve) => reader.once('close', resolve));
    await stored.writeContext(openSync(fifo, 'w'));
    await ended;
  });
  await claim.remove();
  return { write, read };
}

const scratch = mkdtempSync(join(tmpdir(), 'bench-store-'));
await using server = await ChirpServer.start();
const path = join(scratch, 'context');
const fifo = join(scratch, 'fifo');
execFileSync('mkfifo', [fifo]);
writeContext(path, Number(mebibytes) * 1024 * 1024);
const put: number[] = [];
const written: number[] = [];
const read: number[] = [];
const directory: number[] = [];
const directoryRead: number[] = [];
const cat: number[] = [];
for (let round = 0; round < Number(rounds); round++) {
  const name = `/put-${round}`;
  put.push(
    await seconds(async () =>
      execFileSync('chirp_put', ['-a', 'hostname', path, `${server.host}:${server.port}`, name]),
    ),
  );
  rmSync(join(server.root, name));
  const chirp = await storeOnce(`chirp://${server.host}:${server.port}/store`, path, fifo, `job${round}`);
  written.push(chirp.write);
  read.push(chirp.read);
  const local = await storeOnce(`file://${join(scratch, 'store')}`, path, fifo, `job${round}`);
  directory.push(local.write);
  directoryRead.push(local.read);
  cat.push(await seconds(async () => execFileSync('sh', ['-c', `cat ${path} | cat > /dev/null`])));
}
const rate = (values: readonly number[]): string =>
  `${median(values).toFixed(2)} s (${(Number(mebibytes) / 1024 / median(values)).toFixed(2)} GiB/s)`;
console.log(`${mebibytes} MiB, ${rounds} rounds, ${availableParallelism()} cores, medians`);
console.log(`chirp_put               ${rate(put)}`);
console.log(`store to chirp          ${rate(written)}  ${(median(put) / median(written)).toFixed(2)} x chirp_put`);
console.log(`store from chirp        ${rate(read)}`);
console.log(`store to directory      ${rate(directory)}`);
console.log(
  `store from directory    ${rate(directoryRead)}  ${(median(directoryRead) / median(cat)).toFixed(2)} x the time of cat | cat`,
);
console.log(`cat | cat               ${rate(cat)}`);
rmSync(scratch, { recursive: true });
