/** Restart requests with a library that behaves as genuine BLCR does. */
import assert from 'node:assert/strict';
import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, beforeEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { capabilitiesOf, describeLimits } from '../../lib/checkpoint/capabilities.ts';
import { decodeWaitStatus } from '../../lib/checkpoint/exit-status.ts';
import { requestRestart, startRestart } from '../../lib/checkpoint/restart.ts';
import { RestartError, UsageError } from '../../lib/errors.ts';
import { openScripted, script } from '../native/scripted.ts';

const provider = openScripted();
const directory = mkdtempSync(join(tmpdir(), 'blcr-test-'));
const path = join(directory, 'context');
const context = Buffer.from(Array.from({ length: 30_000 }, (_, index) => index % 251));
writeFileSync(path, context);
after(() => rmSync(directory, { recursive: true }));
beforeEach(() => script({ bytes: context.length }));

async function withFile<T>(use: (fd: number) => Promise<T>): Promise<T> {
  const fd = openSync(path, 'r');
  try {
    return await use(fd);
  } finally {
    closeSync(fd);
  }
}

/** The children of this process (the loader of TypeScript may be one). */
function children(): string[] {
  const isMine = new RegExp(`^PPid:\\t${process.pid}$`, 'm');
  return readdirSync('/proc').filter((name) => {
    try {
      return /^\d+$/.test(name) && isMine.test(readFileSync(`/proc/${name}/status`, 'utf8'));
    } catch {
      return false; // it has just ended
    }
  });
}

test('the exit status of the child that libcr made', async () => {
  for (const [child, expected] of [
    [0, { exitCode: 0, signal: undefined }],
    [85, { exitCode: 85, signal: undefined }],
    [-15, { exitCode: undefined, signal: 'SIGTERM' }],
  ] as const) {
    script({ bytes: context.length, child });
    const result = await withFile((from) => requestRestart({ from }, provider));
    assert.ok(result.pid > 0);
    assert.equal(result.jobPid, result.pid);
    assert.deepEqual(await result.exit, expected);
    assert.ok(!existsSync(`/proc/${result.pid}`), 'it has been waited for');
  }
});

test('from a pipe', async () => {
  const { context: end, done } = startRestart({ from: 'pipe', relocate: [['/old', '/new']] }, provider);
  assert.ok(end !== undefined);
  writeSync(end, context);
  closeSync(end);
  const { exit } = await done;
  assert.deepEqual(await exit, { exitCode: 0, signal: undefined });
});

test('a truncated context is blamed on the context, a busy pid on the node', async () => {
  const { context: end, done } = startRestart({ from: 'pipe' }, provider);
  writeSync(end ?? -1, context.subarray(0, 1000));
  closeSync(end ?? -1);
  await assert.rejects(done, { code: 'EIO', blame: 'context', retriable: false });

  script({ error: 16, log: 'found pid 77 in use' });
  await assert.rejects(
    withFile((from) => requestRestart({ from }, provider)),
    (error: unknown) => {
      assert.ok(error instanceof RestartError);
      assert.equal(error.code, 'EBUSY');
      assert.equal(error.blame, 'node');
      assert.match(error.message, /found pid 77 in use/);
      return true;
    },
  );
  script({ error: 5, log: ' ' });
  await assert.rejects(
    withFile((from) => requestRestart({ from }, provider)),
    { code: 'EIO', blame: 'unknown' },
  );
});

test('an aborted restart leaves no process, also when it succeeds later', async () => {
  script({ bytes: context.length, delay: 60, life: 60_000 });
  const controller = new AbortController();
  const before = children();
  await withFile(async (from) => {
    const pending = requestRestart({ from, abort: controller.signal }, provider);
    setTimeout(() => controller.abort(), 10);
    await assert.rejects(pending, { code: 'ABORT_ERR' });
    await sleep(200);
  });
  assert.deepEqual(children(), before);
});

test('bad arguments', async () => {
  for (const over of [{ from: -1 }, { relocate: Array.from({ length: 17 }, () => ['/a', '/b'] as const) }]) {
    await assert.rejects(requestRestart({ from: 0, ...over }, provider), UsageError);
  }
  for (const over of [{ binds: [['/a', '/b']] }, { stdio: [0, 2, 2] }, { files: 'keep' }] as const) {
    await assert.rejects(requestRestart({ from: 0, ...over }, provider), { code: 'ERR_UNSUPPORTED' });
  }
});

test('wait statuses', () => {
  assert.deepEqual(decodeWaitStatus(0x8b), { exitCode: undefined, signal: 'SIGSEGV' });
  assert.deepEqual(decodeWaitStatus(6), { exitCode: undefined, signal: 'SIGABRT' });
  assert.deepEqual(decodeWaitStatus(0xff00), { exitCode: 255, signal: undefined });
  assert.deepEqual(decodeWaitStatus(40), { exitCode: undefined, signal: 'SIGRTMIN+6' });
});

test('what genuine BLCR cannot do is said in words', () => {
  assert.equal(capabilitiesOf(provider).cancel, false);
  assert.equal(describeLimits(provider).length, Object.keys(capabilitiesOf(provider)).length);
  assert.deepEqual(describeLimits({ ...provider, info: { ...provider.info, kind: 'userspace' } }), []);
});
