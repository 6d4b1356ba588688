/** requestCheckpoint and requestRestart with the library of this package: a program goes on where it was. */
import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  createReadStream,
  createWriteStream,
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { finished } from 'node:stream/promises';
import { after, afterEach, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { openProvider } from '../../lib/checkpoint/provider.ts';
import { requestCheckpoint, startCheckpoint } from '../../lib/checkpoint/request.ts';
import { requestRestart, startRestart } from '../../lib/checkpoint/restart.ts';
import type { RestartOptions } from '../../lib/checkpoint/types.ts';
import { CheckpointError, RestartError } from '../../lib/errors.ts';

const LIMIT = { timeout: 30_000 };
const LAST = 150;
const STATUS = 7;

const directory = mkdtempSync(join(tmpdir(), 'blcr-requests-'));
const program = join(directory, 'counter');
const running = new Set<ChildProcess>();
let keeper = '';

before(() => {
  const { info, reasons } = openProvider();
  assert.equal(info.kind, 'userspace', reasons.join('\n'));
  keeper = info.keeper ?? '';
  execFileSync('cc', ['-O1', '-Wall', '-o', program, fileURLToPath(new URL('counter.c', import.meta.url))]);
});
afterEach(() => {
  for (const child of running) child.kill('SIGKILL');
  running.clear();
});
after(() => rmSync(directory, { recursive: true }));

let count = 0;
const newPath = (name: string): string => join(directory, `${name}-${count++}`);

function linesOf(path: string): number {
  return existsSync(path) ? readFileSync(path, 'utf8').split('\n').length - 1 : 0;
}

async function waitForLines(path: string, lines: number): Promise<void> {
  for (let i = 0; linesOf(path) < lines; i++) {
    assert.ok(i < 1000, `${path} has ${linesOf(path)} lines, not ${lines}`);
    await sleep(10);
  }
}

function assertComplete(path: string): void {
  assert.equal(readFileSync(path, 'utf8'), Array.from({ length: LAST }, (_, index) => `${index}\n`).join(''));
}

/** Starts the counter, under a keeper or as it is. */
async function start(path: string, isKept: boolean): Promise<ChildProcess> {
  const args = [path, String(LAST), String(STATUS)];
  const child = isKept
    ? spawn(keeper, ['run', '--', program, ...args], { stdio: 'inherit' })
    : spawn(program, args, { stdio: 'inherit' });
  running.add(child);
  await waitForLines(path, 20);
  return child;
}

/** Kills what was started, keeper first: the job dies with it. */
async function kill(child: ChildProcess): Promise<void> {
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
  running.delete(child);
  await sleep(50);
}

async function checkpointTo(target: number | undefined): Promise<Buffer> {
  const { context, done } = startCheckpoint({ target: target ?? 0, to: 'pipe' });
  const parts: Buffer[] = [];
  for await (const part of createReadStream('', { fd: context ?? -1 })) parts.push(part as Buffer);
  const result = await done;
  const bytes = Buffer.concat(parts);
  assert.equal(result.bytes, bytes.length);
  assert.ok(
    result.processes >= 1 && result.threads >= 1 && result.stopUs > 0 && result.pages > 0,
    JSON.stringify(result),
  );
  return bytes;
}

function restartFrom(bytes: Buffer, over: Partial<RestartOptions> = {}): ReturnType<typeof startRestart>['done'] {
  const { context, done } = startRestart({ from: 'pipe', ...over });
  const stream = createWriteStream('', { fd: context ?? -1 });
  stream.end(bytes);
  finished(stream).catch(() => undefined); // EPIPE after a refusal: done says why
  return done;
}

for (const isKept of [true, false]) {
  test(
    `a program ${isKept ? 'under a keeper' : 'without keeper'} through pipes: killed, restarted, same output, same exit status`,
    LIMIT,
    async () => {
      const path = newPath('out');
      const child = await start(path, isKept);
      const bytes = await checkpointTo(child.pid);
      const atLeast = linesOf(path);
      await waitForLines(path, atLeast + 10); // it runs on
      await kill(child);
      const { exit, processes } = await restartFrom(bytes);
      assert.equal(processes, 1);
      assert.deepEqual(await exit, { exitCode: STATUS, signal: undefined });
      assertComplete(path);
    },
  );
}

test('generations: each restored job is checkpointed again, through files', LIMIT, async () => {
  const path = newPath('out');
  let child: ChildProcess | undefined = await start(path, true);
  let target = child.pid ?? 0;
  let exit: Promise<unknown> | undefined;
  for (let generation = 0; generation < 3; generation++) {
    const file = newPath('context');
    const out = openSync(file, 'wx', 0o600);
    const { bytes } = await requestCheckpoint({ target, to: out });
    closeSync(out);
    assert.equal(statSync(file).size, bytes);
    if (child === undefined) {
      process.kill(target, 'SIGKILL');
      await exit;
    } else {
      await kill(child);
    }
    child = undefined;
    const from = openSync(file, 'r');
    const restarted = await requestRestart({ from });
    closeSync(from);
    ({ pid: target, exit } = restarted);
    await waitForLines(path, 20 + 30 * (generation + 1));
  }
  assert.deepEqual(await exit, { exitCode: STATUS, signal: undefined });
  assertComplete(path);
});

test('a checkpoint with a signal is the end of the job', LIMIT, async () => {
  const path = newPath('out');
  const child = await start(path, true);
  const ended = once(child, 'exit');
  const out = openSync(newPath('context'), 'wx', 0o600);
  const { snapshot } = await requestCheckpoint({ target: child.pid ?? 0, to: out, signal: 9 });
  closeSync(out);
  assert.equal(snapshot, 'plain');
  assert.deepEqual(await ended, [null, 'SIGKILL']);
});

test('an abort or a reader that leaves: the program runs on to its end', LIMIT, async () => {
  const path = newPath('out');
  const child = await start(path, true);
  const ended = once(child, 'exit');
  const controller = new AbortController();
  const aborted = startCheckpoint({ target: child.pid ?? 0, to: 'pipe', abort: controller.signal });
  controller.abort();
  await assert.rejects(aborted.done, { code: 'ABORT_ERR' });
  closeSync(aborted.context ?? -1);
  const left = startCheckpoint({ target: child.pid ?? 0, to: 'pipe' });
  closeSync(left.context ?? -1);
  await assert.rejects(
    left.done,
    (error: unknown) => error instanceof CheckpointError && error.code === 'EPIPE' && error.retriable,
  );
  assert.deepEqual(await ended, [STATUS, null]);
  assertComplete(path);
});

test('a job that ends before its keeper has read the request is gone', LIMIT, async () => {
  const child = await start(newPath('output'), true);
  const to = openSync(newPath('context'), 'w');
  child.kill('SIGSTOP');
  const request = requestCheckpoint({ target: Number(child.pid), to });
  const told = assert.rejects(request, { name: 'CheckpointError', code: 'ESRCH' });
  child.kill('SIGKILL');
  await told;
  closeSync(to);
});

test('damaged contexts are refused before anything runs, and leave no process', LIMIT, async () => {
  const path = newPath('out');
  const child = await start(path, true);
  const bytes = await checkpointTo(child.pid);
  await kill(child);
  const untouched = 'untouched\n'.repeat(1000);
  writeFileSync(path, untouched);
  const flipped = Buffer.from(bytes);
  flipped[bytes.length >> 1] = (flipped[bytes.length >> 1] ?? 0) ^ 1;
  const before = childrenOf(process.pid);
  for (const damaged of [
    bytes.subarray(0, bytes.length - 40),
    bytes.subarray(0, 10),
    flipped,
    Buffer.alloc(5000, 'x'),
    Buffer.alloc(0),
  ]) {
    await assert.rejects(
      restartFrom(damaged),
      (error: unknown) => error instanceof RestartError && error.blame === 'context',
    );
  }
  assert.equal(readFileSync(path, 'utf8'), untouched);
  assert.deepEqual(childrenOf(process.pid), before, 'no keeper and no zombie is left');
});

test('the death of the requester is the death of the restored job', LIMIT, async () => {
  const path = newPath('out');
  const child = await start(path, true);
  const file = newPath('context');
  writeFileSync(file, await checkpointTo(child.pid));
  await kill(child);
  const body = `
    import { openSync } from 'node:fs';
    const { requestRestart } = await import(${JSON.stringify(new URL('../../lib/index.ts', import.meta.url).href)});
    const { pid } = await requestRestart({ from: openSync(${JSON.stringify(file)}, 'r') });
    console.log(pid);
  `;
  const parent = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', body], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  running.add(parent);
  const [text] = (await once(parent.stdout, 'data')) as [Buffer];
  const keeperPid = Number(text.toString());
  assert.ok(existsSync(`/proc/${keeperPid}`));
  parent.kill('SIGKILL');
  await once(parent, 'exit');
  for (let i = 0; existsSync(`/proc/${keeperPid}`); i++) {
    assert.ok(i < 200, 'the keeper is still there');
    await sleep(10);
  }
  const lines = linesOf(path);
  await sleep(100);
  assert.equal(linesOf(path), lines);
});

test('an aborted restart leaves nothing', LIMIT, async () => {
  const path = newPath('out');
  const child = await start(path, true);
  const bytes = await checkpointTo(child.pid);
  await kill(child);
  const before = childrenOf(process.pid);
  const controller = new AbortController();
  const { context, done } = startRestart({ from: 'pipe', abort: controller.signal });
  await sleep(50); // it waits for a context that never comes
  controller.abort();
  closeSync(context ?? -1);
  await assert.rejects(done, { code: 'ABORT_ERR' });
  assert.deepEqual(childrenOf(process.pid), before);
  const { exit } = await restartFrom(bytes);
  assert.deepEqual(await exit, { exitCode: STATUS, signal: undefined });
});

function childrenOf(parent: number): readonly string[] {
  const isChild = new RegExp(`^PPid:\\t${parent}$`, 'm');
  return readdirSync('/proc').filter((name) => {
    try {
      return /^\d+$/.test(name) && isChild.test(readFileSync(`/proc/${name}/status`, 'utf8'));
    } catch {
      return false; // it has just ended
    }
  });
}
