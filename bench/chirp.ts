/**
 * Speed of the Chirp client against the tools of cctools and a bare socket, all in one run on loopback.
 *
 *     node --import tsx bench/chirp.ts [--mib 256] [--rounds 5]
 *
 * Prints medians in GB/s and the ratio to chirp_put / chirp_get of the same run. Sources and targets are on a tmpfs when there is one (/dev/shm).
 */

import { execFileSync } from 'node:child_process';
import { chmodSync, closeSync, existsSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { parseArgs } from 'node:util';
import { ChirpClient, ChirpPool } from '../lib/chirp/index.ts';
import { ChirpServer } from '../test/support/chirp-server.ts';

const { values } = parseArgs({ options: { mib: { type: 'string' }, rounds: { type: 'string' } } });
const SIZE = Number(values.mib ?? 256) * 1024 * 1024;
const ROUNDS = Number(values.rounds ?? 5);

/** Seconds of one run. */
async function timed(run: () => Promise<unknown>): Promise<number> {
  const start = process.hrtime.bigint();
  await run();
  return Number(process.hrtime.bigint() - start) / 1e9;
}

function median(numbers: readonly number[]): number {
  return [...numbers].sort((a, b) => a - b)[numbers.length >> 1] ?? Number.NaN;
}

/** Node's socket into a sink in the same process's kernel: the most one can hope for. */
async function rawSocket(data: Buffer): Promise<void> {
  const server = createServer((socket) => socket.resume());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const socket = connect({ host: '127.0.0.1', port: (server.address() as AddressInfo).port });
  for (let at = 0; at < data.length; at += 1 << 20) socket.write(data.subarray(at, at + (1 << 20)));
  socket.end();
  await new Promise((resolve) => socket.once('close', resolve));
  await new Promise((resolve) => server.close(resolve));
}

/** Files that a run of this name writes on the server. */
function names(run: string): readonly string[] {
  return run.includes('3 connections') ? ['/a0', '/a1', '/a2'] : ['/a'];
}

/** Drops what it gets. */
function discard(): Writable {
  return new Writable({ highWaterMark: 1 << 22, write: (_chunk, _encoding, done) => done() });
}

async function main(base: string): Promise<void> {
  // The server may run as somebody else.
  chmodSync(base, 0o755);
  process.env['TMPDIR'] = base;
  await using server = await ChirpServer.start();
  const where = `${server.host}:${server.port}`;
  const data = Buffer.alloc(SIZE, 'some bytes that are not zero ');
  const source = join(base, 'source');
  const target = join(base, 'target');
  writeFileSync(source, data);
  await using client = new ChirpClient({ host: server.host, port: server.port, auth: ['hostname'] });
  await using pool = new ChirpPool({ host: server.host, port: server.port, auth: ['hostname'] }, 3);
  const pieces = Array.from({ length: SIZE / 65_536 }, (_, i) => data.subarray(i * 65_536, (i + 1) * 65_536));
  const third = Math.floor(SIZE / 3);
  const read = openSync(source, 'r');
  const write = openSync(target, 'w+');
  const tool = (name: string, ...args: string[]): void => {
    execFileSync(name, ['-a', 'hostname', ...args], { stdio: 'pipe', timeout: 120_000 });
  };
  const runs: Readonly<Record<string, () => Promise<unknown>>> = {
    'raw socket, within this process': () => rawSocket(data),
    chirp_put: async () => tool('chirp_put', source, where, '/a'),
    'putFile, one buffer': () => client.putFile('/a', data),
    'putFile, buffers of 64 KiB': () => client.putFile('/a', pieces),
    'putFile, descriptor': () => client.putFile('/a', { fd: read }),
    'putFile, 3 connections': () =>
      Promise.all(
        [0, 1, 2].map((i) => pool.use((c) => c.putFile(`/a${i}`, data.subarray(i * third, (i + 1) * third)))),
      ),
    chirp_get: async () => tool('chirp_get', where, '/a', target),
    getBuffer: () => client.getBuffer('/a'),
    'getFile, descriptor': () => client.getFile('/a', { fd: write }),
    'getFile, stream': () => client.getFile('/a', discard()),
  };
  const seconds = new Map<string, number[]>(Object.keys(runs).map((name) => [name, []]));
  try {
    // Interleaved, so that a noisy minute hurts all alike; the first round warms up.
    for (let round = 0; round <= ROUNDS; round += 1) {
      for (const [name, run] of Object.entries(runs)) {
        // Fresh pages cost more than freed ones: every upload finds the same state.
        if (name.includes('put')) await Promise.all(names(name).map((path) => client.rmall(path)));
        const took = await timed(run);
        if (round > 0) seconds.get(name)?.push(took);
      }
    }
  } finally {
    closeSync(read);
    closeSync(write);
  }
  const reference = (name: string): number =>
    median(seconds.get(name.includes('get') ? 'chirp_get' : 'chirp_put') ?? []);
  for (const [name, list] of seconds) {
    const rate = SIZE / median(list) / 1e9;
    console.log(`${name.padEnd(34)} ${rate.toFixed(2)} GB/s   x ${(reference(name) / median(list)).toFixed(2)}`);
  }
  const stats = await timed(async () => {
    for (let i = 0; i < 200; i += 1) await client.stat('/');
  });
  const piped = await timed(() => Promise.all(Array.from({ length: 200 }, () => client.stat('/'))));
  console.log(`stat one by one ${(stats * 5).toFixed(2)} ms, pipelined ${(piped * 5).toFixed(2)} ms`);
}

const base = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'chirp-bench-'));
try {
  await main(base);
} finally {
  rmSync(base, { recursive: true, force: true });
}
