/** Parts that die, stores that are not there, contexts that are damaged: with the real keeper and the real server. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { closeSync, openSync, readdirSync, readSync, statSync, writeSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import type { JobEvent } from '../../lib/job/events.ts';
import { ChirpServer, hasChirpServer } from '../support/chirp-server.ts';
import { counted, counting, JobBench, SKIP } from './job-bench.ts';
import { finishCli } from './run-cli.ts';

const LIMITS = { skip: SKIP, timeout: 120_000 };
const CHIRP_LIMITS = { skip: SKIP || (hasChirpServer() ? false : 'chirp_server is not installed'), timeout: 120_000 };

const isCheckpoint = (event: JobEvent): boolean => event.event === 'checkpoint';
const isWarning =
  (pattern: RegExp) =>
  (event: JobEvent): boolean =>
    event.event === 'warning' && pattern.test(event.code);

test(
  'the keeper is killed, of a new and of a resumed job: nothing is left, the checkpoints are',
  LIMITS,
  async (context) => {
    const bench = new JobBench(context);
    for (const scratch of ['one', 'two']) {
      const child = bench.run(scratch, 'orphan', counting(300), bench.openOutput('out'));
      const started = await bench.until(scratch, (event) => event.event === 'started', child);
      await bench.until(scratch, isCheckpoint, child);
      assert.ok(started.event === 'started');
      assert.equal(started.resumedFrom !== undefined, scratch === 'two');
      process.kill(started.pid, 'SIGKILL');
      const [code, signal] = await once(child, 'exit');
      assert.deepEqual([code, signal], [null, 'SIGKILL']);
      await bench.untilNothingRuns();
    }
  },
);

/** Flips one bit in the middle of every large file below a directory that is newer than `since`. */
function damage(directory: string, since: number): number {
  let count = 0;
  for (const entry of readdirSync(directory, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath ?? entry.path, entry.name);
    if (!entry.isFile() || statSync(path).size < 4096 || statSync(path).mtimeMs <= since) continue;
    const fd = openSync(path, 'r+');
    const byte = Buffer.alloc(1);
    const middle = Math.floor(statSync(path).size / 2);
    readSync(fd, byte, 0, 1, middle);
    writeSync(fd, Buffer.from([(byte[0] ?? 0) ^ 1]), 0, 1, middle);
    closeSync(fd);
    count += 1;
  }
  return count;
}

test('every checkpoint is damaged: exit 86, nothing runs, nothing is deleted', LIMITS, async (context) => {
  const bench = new JobBench(context);
  const first = bench.run('one', 'damaged', counting(300), bench.openOutput('out'));
  await bench.until('one', (event) => event.event === 'checkpoint' && event.sequence === 2, first);
  first.kill('SIGKILL');
  await once(first, 'exit');
  await bench.untilNothingRuns();
  const before = bench.read('out');
  assert.ok(damage(join(bench.directory, 'store'), 0) > 0);
  const { code, stderr } = await finishCli(bench.run('two', 'damaged', counting(300), bench.openOutput('out')));
  assert.equal(code, 86, stderr);
  assert.match(stderr, /ERR_JOB_UNRESTARTABLE/);
  assert.ok(before.startsWith(bench.read('out')));
  const shown = await finishCli(bench.start('asking', ['verify', 'damaged', '--store', bench.store]));
  assert.equal(shown.code, 86);
});

test('a changed program is refused', LIMITS, async (context) => {
  const bench = new JobBench(context);
  const first = bench.run('one', 'changed', counting(300), bench.openOutput('out'));
  await bench.until('one', isCheckpoint, first);
  first.kill('SIGKILL');
  await once(first, 'exit');
  const { code, stderr } = await finishCli(bench.run('two', 'changed', counting(301), bench.openOutput('out')));
  assert.equal(code, 86);
  assert.match(stderr, /ERR_JOB_CHANGED/);
});

/** A port on which nobody listens. */
async function closedPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return typeof address === 'object' && address !== null ? address.port : 0;
}

test('no server at the first start: the program runs to its end, with a warning', LIMITS, async (context) => {
  const bench = new JobBench(context);
  const url = `chirp://127.0.0.1:${await closedPort()}/`;
  // Twice: a job that ran to its end has nothing to go on from.
  for (const _ of [1, 2]) {
    const child = bench.start('one', ['run', '--store', url, '--id', 'alone', '--', ...counting(10)]);
    const { code, stdout } = await finishCli(child);
    assert.equal(code, 0);
    assert.equal(stdout, counted(10));
    assert.ok(bench.events('one').some(isWarning(/^ECONNREFUSED$|UNREACHABLE/)));
  }
});

test('no server at a later run: exit 75, nothing starts', LIMITS, async (context) => {
  const bench = new JobBench(context);
  const url = `chirp://127.0.0.1:${await closedPort()}/`;
  bench.makeDirectory('one');
  const options = ['--store-wait', '1s', '--store', url, '--id', 'alone'];
  const first = bench.start('one', ['run', ...options, '--', ...counting(300)]);
  await bench.until('one', (event) => event.event === 'started', first);
  first.kill('SIGKILL');
  await once(first, 'exit');
  await bench.untilNothingRuns();
  const { code, stdout, stderr } = await finishCli(bench.start('one', ['run', ...options, '--', ...counting(300)]));
  assert.equal(code, 75, stderr);
  assert.match(stderr, /ERR_JOB_STORE/);
  assert.equal(stdout, '');
});

test('the server dies and comes back: the job runs on and is checkpointed again', CHIRP_LIMITS, async (context) => {
  const bench = new JobBench(context);
  await using server = await ChirpServer.start();
  const url = `chirp://${server.host}:${server.port}/`;
  const program = counting(120);
  const periods = ['--every', '500ms', '--first', '200ms'];
  const child = bench.start('one', ['run', '--store', url, '--id', 'served', ...periods, '--', ...program]);
  await bench.until('one', isCheckpoint, child);
  await server.kill();
  await bench.until('one', isWarning(/./), child);
  await server.restart();
  const last = bench.events('one').filter(isCheckpoint).length;
  await bench.until('one', (event) => event.event === 'checkpoint' && event.sequence > last + 1, child);
  const { code, stdout, stderr } = await finishCli(child);
  assert.equal(code, 0, stderr);
  assert.equal(stdout, counted(120));
});
