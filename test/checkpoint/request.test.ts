/** Checkpoint requests with a library that behaves as genuine BLCR does. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, fstatSync, mkdtempSync, openSync, readdirSync, readSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, beforeEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { requestCheckpoint, startCheckpoint } from '../../lib/checkpoint/request.ts';
import { CheckpointError, UsageError } from '../../lib/errors.ts';
import { openScripted, script } from '../native/scripted.ts';

const provider = openScripted();
const directory = mkdtempSync(join(tmpdir(), 'blcr-test-'));
const file = openSync(join(directory, 'context'), 'w+');
const saved = process.env['TMPDIR'];
process.env['TMPDIR'] = directory;
after(() => {
  process.env['TMPDIR'] = saved ?? '/tmp';
  closeSync(file);
  rmSync(directory, { recursive: true });
});

let target: ChildProcess;
let pid = 0;
beforeEach(() => {
  script({});
  target = spawn('sleep', ['60'], { stdio: 'ignore' });
  pid = target.pid ?? 0;
});
afterEach(() => {
  target.kill('SIGKILL');
});

function isAlive(): boolean {
  return target.exitCode === null && target.signalCode === null;
}

function fifoDirectories(): string[] {
  return readdirSync(directory).filter((name) => name.startsWith('node-blcr-'));
}

function readAll(fd: number): Buffer {
  const parts: Buffer[] = [];
  for (;;) {
    const buffer = Buffer.alloc(65_536);
    const count = readSync(fd, buffer, 0, buffer.length, null);
    if (count === 0) return Buffer.concat(parts);
    parts.push(buffer.subarray(0, count));
  }
}

test('into a file: the result tells what genuine BLCR can tell', async () => {
  script({ bytes: 5000, log: 'all well' });
  const result = await requestCheckpoint({ target: pid, to: file }, provider);
  assert.equal(result.log, 'all well');
  assert.equal(result.snapshot, 'unknown');
  assert.ok(result.totalUs > 10_000);
  assert.equal(fstatSync(file).size, 5000);
});

test('to a pipe: a FIFO below a private directory, of which nothing remains', async () => {
  script({ bytes: 40_000, delay: 0 });
  const { context, done } = startCheckpoint({ target: pid, to: 'pipe' }, provider);
  assert.ok(context !== undefined);
  assert.equal(fifoDirectories().length, 1);
  const fifo = fstatSync(context);
  assert.ok(fifo.isFIFO());
  assert.equal(fifo.mode & 0o777, 0o600);
  await done;
  const bytes = readAll(context);
  closeSync(context);
  assert.equal(bytes.length, 40_000);
  assert.ok(bytes.every((byte, index) => byte === index % 251));
  assert.deepEqual(fifoDirectories(), []);
});

test('a reader that leaves does not kill the target; an abort lets the dump end', async () => {
  script({ bytes: 500_000, delay: 20 });
  const controller = new AbortController();
  const { context, done } = startCheckpoint({ target: pid, to: 'pipe', abort: controller.signal }, provider);
  closeSync(context ?? -1);
  await sleep(60);
  assert.ok(isAlive());
  controller.abort(new Error('enough'));
  await assert.rejects(done, { code: 'ABORT_ERR', target: pid, cause: controller.signal.reason });
  await sleep(100);
  assert.ok(isAlive());
  assert.deepEqual(fifoDirectories(), []);
  script({});
  await requestCheckpoint({ target: pid, to: file }, provider);
});

test('time-out: the wait ends, the request is still reaped', async () => {
  script({ delay: 150 });
  const start = performance.now();
  await assert.rejects(requestCheckpoint({ target: pid, to: file, timeoutSeconds: 0.03 }, provider), {
    code: 'ETIMEDOUT',
    retriable: true,
  });
  assert.ok(performance.now() - start < 140);
  await assert.rejects(requestCheckpoint({ target: pid, to: file }, provider), { code: 'EBUSY', retriable: true });
  await sleep(200);
  await requestCheckpoint({ target: pid, to: file }, provider);
});

test('aborted before it begins: nothing is asked', async () => {
  await assert.rejects(requestCheckpoint({ target: pid, to: file, abort: AbortSignal.abort() }, provider), {
    code: 'ABORT_ERR',
  });
});

test('an abort after the end changes nothing', async () => {
  const controller = new AbortController();
  await requestCheckpoint({ target: pid, to: file, abort: controller.signal }, provider);
  controller.abort();
});

test("late errors carry libcr's log and say what to do", async () => {
  script({ error: 2356, log: 'chkpt: process 12 (sleep) has no libcr\n', delay: 30 });
  await assert.rejects(requestCheckpoint({ target: pid, to: file }, provider), (error: unknown) => {
    assert.ok(error instanceof CheckpointError);
    assert.equal(error.code, 'CR_ENOSUPPORT');
    assert.equal(error.target, pid);
    assert.equal(error.retriable, false);
    assert.match(error.log, /has no libcr/);
    assert.match(error.message, /cr_run[\s\S]*has no libcr/);
    return true;
  });
  await assert.rejects(requestCheckpoint({ target: 2 ** 22 + 5, to: file }, provider), { code: 'ESRCH' });
});

test('bad arguments are found before anything is asked', async () => {
  const bad = [{ target: 0 }, { target: 1.5 }, { to: -1 }, { timeoutSeconds: -1 }, { timeoutSeconds: Number.NaN }];
  for (const over of bad)
    await assert.rejects(requestCheckpoint({ target: pid, to: file, ...over }, provider), UsageError);
  for (const over of [
    { snapshot: 'fork' },
    { tcp: 'close' },
    { unix: 'close' },
    { capture: { root: '/a', into: '/b' } },
  ] as const) {
    await assert.rejects(requestCheckpoint({ target: pid, to: file, ...over }, provider), { code: 'ERR_UNSUPPORTED' });
  }
});
