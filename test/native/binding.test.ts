/** The addon against a library that behaves as genuine BLCR does. */
import assert from 'node:assert/strict';
import { closeSync, constants, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, beforeEach, test } from 'node:test';
import type { NativeCheckpointArgs, RequestHandle } from '../../lib/native/binding.ts';
import { openScripted, script } from './scripted.ts';

const { binding, info } = openScripted();
const directory = mkdtempSync(join(tmpdir(), 'blcr-test-'));
const file = openSync(join(directory, 'context'), 'w+');
after(() => {
  closeSync(file);
  rmSync(directory, { recursive: true });
});
beforeEach(() => script({}));

const ASYNC_ERR = 0x10;

function args(over: Partial<NativeCheckpointArgs> = {}): NativeCheckpointArgs {
  return { scope: 0, target: 0, fd: file, signal: 0, timeoutSeconds: 0, flags: 0, ...over };
}

test('a library without crx_* is genuine BLCR', () => {
  assert.equal(info.kind, 'blcr');
  assert.equal(info.extensions, 0);
  assert.equal(info.keeper, undefined);
  assert.deepEqual(binding.openLibrary(['/elsewhere']), info);
});

test('init, strerror, and what genuine BLCR has no word for', async () => {
  const first = binding.init();
  assert.equal(binding.init(), first + 1);
  assert.match(binding.strerror(2356), /not supported/i);
  const handle = binding.requestCheckpoint(args());
  assert.equal(binding.cancel(handle), false);
  assert.equal(binding.result(handle), undefined);
  await binding.waitReadable(handle);
  assert.equal(binding.reap(handle), 0);
});

test('request, wait, log, reap; a reaped handle is refused', async () => {
  script({ log: 'one line' });
  const handle = binding.requestCheckpoint(args());
  await binding.waitReadable(handle);
  assert.equal(binding.readLog(handle), 'one line');
  assert.equal(binding.reap(handle), 0);
  assert.throws(() => binding.reap(handle), { code: 'EBADF' });
  assert.throws(() => binding.readLog(handle), { code: 'EBADF' });
  assert.throws(() => binding.waitReadable(handle), { code: 'EBADF' });
});

test('an early reap is refused and does not lose the handle', async () => {
  script({ delay: 30 });
  const handle = binding.requestCheckpoint(args());
  assert.throws(() => binding.reap(handle), { code: 'EAGAIN', errno: -11, syscall: 'cr_reap_checkpoint' });
  await binding.waitReadable(handle);
  assert.equal(binding.reap(handle), 0);
});

test('one waiter at a time; no reap and no poll while somebody waits', async () => {
  const handle = binding.requestCheckpoint(args());
  const first = binding.waitReadable(handle);
  assert.throws(() => binding.waitReadable(handle), { code: 'EBUSY' });
  assert.throws(() => binding.reap(handle), { code: 'EBUSY' });
  assert.throws(() => binding.pollCheckpoint(handle), { code: 'EBUSY' });
  await first;
  assert.equal(binding.reap(handle), 0);
});

test('the descriptor is in no epoll set when the wait is over', async () => {
  // The scripted library aborts the process when it is; here we look ourselves as well, before and after.
  const watched = (): string[] => {
    const found: string[] = [];
    for (let fd = 0; fd < 64; fd++) {
      try {
        found.push(...(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8').match(/^tfd: +\d+/gm) ?? []));
      } catch {
        // not open
      }
    }
    return found.map((line) => line.replace(/\s+/g, ' ')).sort();
  };
  const before = watched();
  const handle = binding.requestCheckpoint(args());
  const wait = binding.waitReadable(handle);
  await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
  const during = watched();
  await wait;
  const afterwards = watched();
  assert.equal(during.length, before.length + 1);
  assert.deepEqual(afterwards, before);
  assert.equal(binding.reap(handle), 0);
});

test('errors carry code, errno and syscall', async () => {
  script({ error: 2356 });
  const handle = binding.requestCheckpoint(args());
  await binding.waitReadable(handle);
  assert.throws(() => binding.reap(handle), {
    code: 'CR_ENOSUPPORT',
    errno: -2356,
    syscall: 'cr_reap_checkpoint',
    message: /not supported by target/,
  });
  assert.throws(() => binding.requestCheckpoint(args({ scope: 9 })), {
    code: 'EINVAL',
    syscall: 'cr_request_checkpoint',
  });
  assert.throws(() => binding.requestCheckpoint(args({ target: 2 ** 22 + 5 })), { code: 'ESRCH' });
  assert.throws(
    () => binding.requestCheckpoint({ ...args(), fd: 'x' } as unknown as NativeCheckpointArgs),
    /fd must be a number/,
  );
});

test('an anonymous pipe is refused at once, or at the reap with ASYNC_ERR; a FIFO is not', async () => {
  const [reader, writer] = binding.createPipe();
  assert.throws(() => binding.requestCheckpoint(args({ fd: writer })), { code: 'EINVAL' });
  const late = binding.requestCheckpoint(args({ fd: writer, flags: ASYNC_ERR }));
  await binding.waitReadable(late);
  assert.match(binding.readLog(late), /destination file descriptor/);
  assert.throws(() => binding.reap(late), { code: 'EINVAL' });
  closeSync(reader);
  closeSync(writer);

  const path = join(directory, 'fifo');
  binding.makeFifo(path);
  assert.throws(() => binding.makeFifo(path), { code: 'EEXIST', syscall: 'mkfifo' });
  const both = openSync(path, constants.O_RDWR);
  const handle = binding.requestCheckpoint(args({ fd: both }));
  await binding.waitReadable(handle);
  assert.equal(binding.reap(handle), 0);
  closeSync(both);
});

test('one request per target', async () => {
  const handle = binding.requestCheckpoint(args({ target: process.pid }));
  assert.throws(() => binding.requestCheckpoint(args({ target: process.pid })), { code: 'EBUSY' });
  await binding.waitReadable(handle);
  binding.reap(handle);
});

test('handles of 1024 and more: wait, poll and reap never select(2)', async () => {
  script({ high: 1, error: 16 });
  const handle = binding.requestCheckpoint(args());
  assert.deepEqual(binding.pollCheckpoint(handle), { result: 0, errno: 0 });
  await binding.waitReadable(handle);
  assert.deepEqual(binding.pollCheckpoint(handle), { result: -2, errno: 16 });
  script({ high: 1 });
  const second = binding.requestCheckpoint(args());
  await binding.waitReadable(second);
  assert.equal(binding.reap(second), 0);
});

test("pollCheckpoint keeps libcr's semantics", async () => {
  script({ error: 3 });
  const handle = binding.requestCheckpoint(args());
  assert.deepEqual(binding.pollCheckpoint(handle), { result: 0, errno: 0 });
  await binding.waitReadable(handle);
  assert.deepEqual(binding.pollCheckpoint(handle), { result: -2, errno: 3 });
  assert.throws(() => binding.reap(handle), { code: 'EBADF' });
});

test('64 waits of 100 ms take about 100 ms', async () => {
  script({ delay: 100 });
  const handles: RequestHandle[] = [];
  const start = performance.now();
  for (let i = 0; i < 64; i++) handles.push(binding.requestRestart({ fd: file, signal: 0, flags: 0, relocate: [] }));
  await Promise.all(handles.map((handle) => binding.waitReadable(handle)));
  const elapsed = performance.now() - start;
  const children = handles.map((handle) => binding.reap(handle));
  assert.ok(elapsed < 800, `${elapsed} ms; a pool of 4 threads would take 1600`);
  assert.deepEqual(
    await Promise.all(children.map((pid) => binding.waitChild(pid))),
    children.map(() => 0),
  );
});

test('closing a handle ends its wait and harms nothing', async () => {
  script({ delay: 40 });
  const handle = binding.requestCheckpoint(args());
  const wait = binding.waitReadable(handle);
  binding.closeHandle(handle);
  await assert.rejects(wait, { code: 'ECANCELED' });
  // The dump goes on all the same, as it does in BLCR.
  assert.throws(() => binding.requestCheckpoint(args()), { code: 'EBUSY' });
  await new Promise((resolve) => setTimeout(resolve, 80));
  const next = binding.requestCheckpoint(args());
  await binding.waitReadable(next);
  assert.equal(binding.reap(next), 0);
});

test('waitChild: status of an exit and of a signal, with and without pidfd; not a child: ECHILD', async () => {
  for (const disable of ['', 'pidfd']) {
    process.env['BLCR_DISABLE'] = disable;
    for (const [child, status] of [
      [7, 7 << 8],
      [-9, 9],
    ] as const) {
      script({ child, life: 30, delay: 0 });
      const handle = binding.requestRestart({ fd: file, signal: 0, flags: 0, relocate: [['/a', '/b']] });
      await binding.waitReadable(handle);
      const pid = binding.reap(handle);
      assert.ok(pid > 0);
      assert.equal(await binding.waitChild(pid), status);
      await assert.rejects(binding.waitChild(pid), { code: 'ECHILD' });
    }
  }
  delete process.env['BLCR_DISABLE'];
  await assert.rejects(binding.waitChild(process.ppid), { code: 'ECHILD' });
});

test('a pipe is close-on-exec and large', () => {
  const [reader, writer] = binding.createPipe();
  for (const fd of [reader, writer]) {
    const flags = Number.parseInt(
      /^flags:\s+(\d+)/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))?.[1] ?? '',
      8,
    );
    assert.equal(flags & 0o2000000, 0o2000000);
    assert.equal(flags & constants.O_NONBLOCK, 0);
    closeSync(fd);
  }
});
