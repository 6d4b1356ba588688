import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { formatRecord } from '../../lib/job/event-log.ts';
import { collisionCode, processEnd } from '../../lib/job/exit-status.ts';
import { compareIdentity, identify, resolveExecutable } from '../../lib/job/identity.ts';
import { batchJobId, batchVacateMs, knownLaterRun } from '../../lib/job/incarnation.ts';
import { normaliseId, resolveOptions } from '../../lib/job/options.ts';
import { listDescendants } from '../../lib/job/process-tree.ts';
import { ChildDescriptors } from '../../lib/job/stray-descriptors.ts';
import type { TreeFile } from '../../lib/job/tree.ts';
import type { FileEntry } from '../../lib/store/types.ts';

function adOf(context: TestContext, text: string): string {
  const directory = mkdtempSync(join(tmpdir(), 'blcr-ad-'));
  context.after(() => rmSync(directory, { recursive: true }));
  const path = join(directory, 'ad');
  writeFileSync(path, text);
  return path;
}

test('exit codes and the collision', () => {
  const exited = (exitCode: number) => ({ reason: 'exited', exitCode, signal: undefined }) as const;
  assert.deepEqual(processEnd(exited(3), 85), { kind: 'code', code: 3, collision: false });
  assert.deepEqual(processEnd(exited(85), 85), { kind: 'code', code: 87, collision: true });
  assert.deepEqual(processEnd(exited(85), 90), { kind: 'code', code: 85, collision: false });
  assert.deepEqual(processEnd(exited(87), 87), { kind: 'code', code: 89, collision: true });
  assert.equal(collisionCode(85), 87);
  const ended = { exitCode: undefined, signal: undefined };
  assert.deepEqual(processEnd({ reason: 'vacated', ...ended }, 90), { kind: 'code', code: 90, collision: false });
  assert.deepEqual(processEnd({ reason: 'fenced', ...ended }, 85), { kind: 'code', code: 88, collision: false });
  const signaled = { reason: 'signaled', exitCode: undefined, signal: 'SIGSEGV' } as const;
  assert.deepEqual(processEnd(signaled, 85), { kind: 'signal', signal: 'SIGSEGV' });
});

test('job ids', () => {
  assert.equal(normaliseId('alice@host#15.0#1795345176'), 'alice@host_15.0_1795345176');
  for (const bad of ['', '.', '../x', 'a/b', 'a b', 'ä', 'x'.repeat(201)]) {
    assert.throws(() => normaliseId(bad), { code: 'ERR_USAGE' });
  }
});

test('options are checked by name', () => {
  const good = { id: 'a', store: 'file:///x', command: 'c' };
  assert.equal(resolveOptions({ ...good, every: '1.5h' }).everyMs, 5_400_000);
  assert.throws(() => resolveOptions({ ...good, key: new Uint8Array(31) }), /key: 32 bytes/);
  assert.throws(() => resolveOptions({ ...good, keep: 0 }), /keep/);
  assert.throws(() => resolveOptions({ ...good, every: Number.NaN }), /every/);
  assert.throws(() => resolveOptions({ ...good, requeueCode: 300 }), /requeueCode/);
  assert.throws(() => resolveOptions({ ...good, command: '' }), /command/);
  assert.equal(resolveOptions({ ...good, scratch: '/' }).files, 'none');
  const env = { _CONDOR_JOB_AD: '/pool/dir_1/.job.ad', _CONDOR_SCRATCH_DIR: '/pool/dir_1' };
  assert.equal(resolveOptions({ ...good, scratch: '/submit', env }).files, 'none');
  assert.equal(resolveOptions({ ...good, scratch: '/pool/dir_1', env }).files, 'changed');
});

test('what the job ad says', (context) => {
  const text = 'GlobalJobId = "alice@host#15.0#17"\nJobRunCount = 3\nJobMaxVacateTime = 20\n';
  const env = {
    _CONDOR_JOB_AD: adOf(context, text),
    _CONDOR_MACHINE_AD: adOf(context, 'MachineMaxVacateTime = 10 * 60\n'),
  };
  assert.equal(batchJobId(env), 'alice@host#15.0#17');
  assert.equal(batchVacateMs(env), 19_000);
  assert.match(knownLaterRun('/nowhere', 'a', env) ?? '', /run 3/);
  assert.equal(batchVacateMs({}), undefined);
  assert.equal(batchVacateMs({ _CONDOR_JOB_AD: adOf(context, 'JobMaxVacateTime = ifThenElse(x, 1, 2)\n') }), undefined);
  assert.equal(knownLaterRun('/nowhere', 'a', { _CONDOR_JOB_AD: adOf(context, 'JobRunCount = 1\n') }), undefined);
});

test('programs are found as execvp does', async () => {
  assert.match(await resolveExecutable('sh', '/', { PATH: '/nowhere:/bin' }), /^\/bin\/sh$/);
  assert.match(await resolveExecutable('sh', '/', {}), /\/bin\/sh$/);
  assert.equal(await resolveExecutable('./sh', '/bin', {}), '/bin/sh');
  await assert.rejects(resolveExecutable('sh', '/', { PATH: '/nowhere' }), { code: 'ERR_JOB_NOT_FOUND' });
  await assert.rejects(resolveExecutable('/etc', '/', {}), { code: 'ERR_JOB_NOT_FOUND' });
});

test('what makes a job another one', () => {
  const then = { argv: ['a', 'b'], executable: '1', inputs: { x: 'h', gone: 'h', mine: 'h', big: 'size:7' } };
  const same = { argv: ['a', 'b'], executable: '1', inputs: { x: 'h', mine: 'other', big: 'size:7', extra: 'h' } };
  assert.deepEqual(compareIdentity(then, same, [{ path: 'mine', role: 'scratch' } as FileEntry]), []);
  assert.equal(compareIdentity(then, same, []).length, 1);
  assert.equal(compareIdentity(then, { ...same, argv: ['a'], executable: '2' }, []).length, 3);
  assert.equal(compareIdentity(then, { ...same, inputs: { big: 'size:8' } }, []).length, 1);
});

test('an input that somebody writes to for ever counts as long as it was when the job started', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'blcr-inputs-'));
  try {
    const listed = (path: string, size: number) => ({ kind: 'file', path, size }) as TreeFile;
    writeFileSync(join(directory, 'log'), 'abc, and more since');
    writeFileSync(join(directory, 'abc'), 'abc');
    writeFileSync(join(directory, 'new'), 'was empty');
    const { inputs } = await identify(['sh'], '/bin/sh', directory, [
      listed('log', 3),
      listed('abc', 3),
      listed('new', 0),
    ]);
    assert.equal(inputs['log'], inputs['abc']);
    assert.equal(inputs['new'], 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'); // SHA-256 of nothing
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test('descendants, through a shell', async () => {
  const child = spawn('/bin/sh', ['-c', 'sleep 30 & sleep 30; true'], { detached: true, stdio: 'ignore' });
  const pid = child.pid ?? 0;
  try {
    for (let tries = 0; tries < 200 && listDescendants(pid).length < 2; tries += 1) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    assert.equal(listDescendants(pid).length, 2);
  } finally {
    process.kill(-pid, 'SIGKILL');
  }
});

test('a table of descriptors with stray ones replaced', () => {
  using table = new ChildDescriptors([0, 1, 2, 'pipe', 'pipe'] as const, [
    { fd: 4, what: 'pipe:[1]' },
    { fd: 7, what: 'pipe:[2]' },
  ]);
  const nothing = table.stdio[7];
  assert.ok(typeof nothing === 'number' && nothing > 2);
  assert.deepEqual(table.stdio, [0, 1, 2, 'pipe', 'pipe', 'ignore', 'ignore', nothing]);
  using plain = new ChildDescriptors([0, 1, 2] as const, []);
  assert.deepEqual(plain.stdio, [0, 1, 2]);
});

test('a record is one line of JSON without the error object', () => {
  const text = formatRecord({
    ...{ event: 'warning', time: 1, id: 'a', code: 'X', message: 'two\nlines', consequence: 'c' },
    error: new Error('no'),
  });
  assert.equal(text.split('\n').length, 2);
  assert.deepEqual(JSON.parse(text), {
    event: 'warning',
    time: 1,
    id: 'a',
    code: 'X',
    message: 'two\nlines',
    consequence: 'c',
  });
});
