/** The addon on the libcr of this machine: requests, descriptors, errors, handles. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, openSync, readFileSync, statSync, writeFileSync, writeSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { CheckpointError, requestCheckpoint, requestRestart, startCheckpoint, startRestart } from 'node-blcr';
import { isGenuine, PATIENCE_MS, provider, start, startSleeper, temporaryDirectory } from './machine.ts';

const LIMITS = { timeout: PATIENCE_MS };

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

test('the library that the machine promises is the one in use', () => {
  assert.equal(provider.info.kind, process.env['BLCR_EXPECT'] ?? 'blcr');
});

test('a context goes into a regular file, and the program runs on', LIMITS, async (context) => {
  const program = await startSleeper(context);
  const path = join(temporaryDirectory(context), 'context');
  const to = openSync(path, 'wx', 0o600);
  await requestCheckpoint({ target: program.target, to });
  closeSync(to);
  assert.ok(statSync(path).size > 4096);
  assert.ok(isAlive(program.target));
});

test('a context streams through a pipe or FIFO', LIMITS, async (context) => {
  const program = await startSleeper(context);
  const pending = startCheckpoint({ target: program.target, to: 'pipe' });
  const file = await open(`/proc/self/fd/${pending.context}`, 'r');
  closeSync(pending.context ?? -1);
  let bytes = 0;
  for await (const chunk of file.createReadStream()) bytes += (chunk as Buffer).length;
  await pending.done;
  assert.ok(bytes > 4096);
  assert.ok(isAlive(program.target));
});

test('four targets at once', LIMITS, async (context) => {
  const directory = temporaryDirectory(context);
  const programs = await Promise.all(Array.from({ length: 4 }, () => startSleeper(context)));
  const requests = programs.map(async ({ target }, index) => {
    const to = openSync(join(directory, `context-${index}`), 'wx', 0o600);
    await requestCheckpoint({ target, to });
    closeSync(to);
  });
  await Promise.all(requests);
  for (const index of programs.keys()) assert.ok(statSync(join(directory, `context-${index}`)).size > 4096);
});

test('a handle of 1024 or more', LIMITS, async (context) => {
  const program = await startSleeper(context);
  const path = join(temporaryDirectory(context), 'context');
  const to = openSync(path, 'wx', 0o600);
  const many = Array.from({ length: 1100 }, () => openSync('/dev/null', 'r'));
  await requestCheckpoint({ target: program.target, to });
  for (const fd of [...many, to]) closeSync(fd);
  assert.ok(statSync(path).size > 4096);
});

test('a target that does not exist', LIMITS, async (context) => {
  const to = openSync(join(temporaryDirectory(context), 'context'), 'wx', 0o600);
  context.after(() => closeSync(to));
  const nobody = Number(readFileSync('/proc/sys/kernel/pid_max', 'latin1')) - 1;
  await assert.rejects(requestCheckpoint({ target: nobody, to }), { code: 'ESRCH' });
});

test('a descriptor that cannot be written', LIMITS, async (context) => {
  const program = await startSleeper(context);
  const to = openSync('/dev/null', 'r');
  context.after(() => closeSync(to));
  await assert.rejects(requestCheckpoint({ target: program.target, to }), CheckpointError);
  assert.ok(isAlive(program.target));
});

test('a disk that is full', LIMITS, async (context) => {
  const program = await startSleeper(context);
  const to = openSync('/dev/full', 'w');
  context.after(() => closeSync(to));
  await assert.rejects(requestCheckpoint({ target: program.target, to }), { code: 'ENOSPC' });
  assert.ok(isAlive(program.target));
});

test('killed and restarted, the program goes on with its exit status', LIMITS, async (context) => {
  const directory = temporaryDirectory(context);
  const gate = join(directory, 'gate');
  const wait = 'import os, sys, time\nwhile not os.path.exists(sys.argv[1]): time.sleep(0.1)\nsys.exit(23)';
  const program = await start(context, 'python3', '-c', wait, gate);
  const path = join(directory, 'context');
  const to = openSync(path, 'wx', 0o600);
  await requestCheckpoint({ target: program.target, to });
  closeSync(to);
  program.kill();
  await program.exit;
  writeFileSync(gate, '');
  const from = openSync(path, 'r');
  const { exit } = await requestRestart({ from });
  closeSync(from);
  assert.deepEqual(await exit, { exitCode: 23, signal: undefined });
});

test('a context that is none, and one that ends too early', LIMITS, async (context) => {
  const program = await startSleeper(context);
  const directory = temporaryDirectory(context);
  const whole = join(directory, 'whole');
  const to = openSync(whole, 'wx', 0o600);
  await requestCheckpoint({ target: program.target, to });
  closeSync(to);
  program.kill(); // its process id is not to be what a restart fails of
  await program.exit;
  const bytes = readFileSync(whole);
  for (const [name, content] of [
    ['none', Buffer.alloc(8192, 7)],
    ['short', bytes.subarray(0, bytes.length >> 1)],
  ] as const) {
    const file = await open(join(directory, name), 'w+', 0o600);
    await file.write(content, 0, content.length, 0);
    await assert.rejects(requestRestart({ from: file.fd }), { name: 'RestartError' }, name);
    await file.close();
  }
  const { context: stream = -1, done } = startRestart({ from: 'pipe' });
  writeSync(stream, bytes.subarray(0, 4096)); // less than a pipe takes
  closeSync(stream);
  await assert.rejects(done, { name: 'RestartError' }, 'cut off');
});

test('a process id in use', {
  ...LIMITS,
  skip: isGenuine ? false : 'a namespace of their own gives jobs any number',
}, async (context) => {
  const program = await startSleeper(context);
  const path = join(temporaryDirectory(context), 'context');
  const to = openSync(path, 'wx', 0o600);
  await requestCheckpoint({ target: program.target, to });
  closeSync(to);
  const from = openSync(path, 'r');
  context.after(() => closeSync(from));
  await assert.rejects(requestRestart({ from }), { code: 'EBUSY' });
});

test('blcr doctor proves that jobs can run', LIMITS, () => {
  const blcr = new URL('../dist/cli/main.js', import.meta.url).pathname;
  const { status, stdout } = spawnSync(process.execPath, [blcr, 'doctor'], { encoding: 'utf8' });
  assert.equal(status, 0, stdout);
  assert.match(stdout, /was (started under cr_run, )?checkpointed, killed and restarted here/);
});
