/** checkpointSelf(): a Node program with much under way saves itself, and goes on in both lives. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, mkdirSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { requestRestart } from '../../lib/checkpoint/restart.ts';
import { StoreError } from '../../lib/errors.ts';
import { type LaunchOptions, launchProgram } from '../../lib/job/launch-program.ts';

const LIMIT = 30_000;
const root = new URL('../../', import.meta.url);
const packagePath = fileURLToPath(new URL('dist/index.js', root));
const cli = fileURLToPath(new URL('dist/cli/main.js', root));
const program = (name: string): string => fileURLToPath(new URL(`programs/${name}`, import.meta.url));
const options = {
  timeout: LIMIT,
  skip: existsSync(packagePath) ? false : 'dist is not built (npm run build:ts)',
} as const;

/** Descriptors of whoever runs the tests stay behind: what launchProgram() sees to for its programs. */
const ALONE = 'for path in /proc/$$/fd/*; do n=$(basename $path); ((n > 2)) && eval "exec $n>&-"; done; exec "$@"';

const directory = mkdtempSync(join(tmpdir(), 'blcr-self-'));
const running = new Set<ChildProcess>();
after(() => {
  for (const child of running) child.kill('SIGKILL');
  rmSync(directory, { recursive: true, force: true });
});

function newDirectory(name: string): string {
  const path = join(directory, name);
  mkdirSync(path);
  return path;
}

const textOf = (path: string): string => (existsSync(path) ? readFileSync(path, 'utf8') : '');

async function waitForText(path: string, text: string): Promise<void> {
  while (!textOf(path).includes(text)) await delay(10); // the test's own limit ends it
}

function assertWhole(where: string): void {
  assert.equal(textOf(join(where, 'said')), 'continued\nrestarted\nagain continued\nend 7\n');
  assert.equal(textOf(join(where, 'log')), '1\n2\n3\n4\n');
}

for (const kept of ['under a keeper', 'by itself'] as const) {
  test(`into a file, ${kept}: killed, restarted, everything goes on`, options, async () => {
    const where = newDirectory(kept);
    const file = join(where, 'context');
    const args = [program('busy.mjs'), packagePath, where, file];
    const null_ = openSync('/dev/null', 'r+');
    const stdio = [null_, 2, 2] as const;
    if (kept === 'under a keeper') {
      const first = await launchProgram(process.execPath, { args, stdio });
      await waitForText(join(where, 'said'), 'continued\n');
      first.kill();
      await first.exit;
    } else {
      const first = spawn('bash', ['-c', ALONE, 'bash', process.execPath, ...args], {
        stdio: ['ignore', 'inherit', 'inherit'],
        detached: true,
      });
      running.add(first);
      await waitForText(join(where, 'said'), 'continued\n');
      process.kill(-(first.pid ?? 0), 'SIGKILL');
      if (first.exitCode === null && first.signalCode === null) await once(first, 'exit');
    }
    const from = openSync(file, 'r');
    const { exit } = await requestRestart({ from, stdio });
    closeSync(from);
    assert.deepEqual(await exit, { exitCode: 0, signal: undefined });
    closeSync(null_);
    assertWhole(where);
    assert.ok(!existsSync(`${file}.new`));
  });
}

test('several calls at once, in several threads: every context can be restarted', options, async () => {
  const where = newDirectory('at-once');
  const null_ = openSync('/dev/null', 'r+');
  const stdio = [null_, 2, 2] as const;
  const first = await launchProgram(process.execPath, { args: [program('at-once.mjs'), packagePath, where], stdio });
  await waitForText(join(where, 'said'), 'continued\n');
  first.kill();
  await first.exit;
  assert.deepEqual(readdirSync(where).sort(), ['one', 'said', 'same', 'three', 'two']);
  // Each is opened before a restarted program replaces the others.
  const contexts = ['one', 'two', 'three', 'same'].map((name) => openSync(join(where, name), 'r'));
  for (const from of contexts) {
    const { exit } = await requestRestart({ from, stdio });
    closeSync(from);
    assert.deepEqual(await exit, { exitCode: 0, signal: undefined });
  }
  closeSync(null_);
});

test("into the job's store: the wrapper is killed and run again", options, async () => {
  const where = newDirectory('job');
  const store = newDirectory('store');
  const args = [cli, 'run', '--store', `file://${store}`, '--id', 'self', '--first', '1h', '--every', '1h'];
  const command = [...args, '--', process.execPath, program('busy.mjs'), packagePath, where];
  const start = (): ChildProcess => {
    const child = spawn(process.execPath, command, { cwd: where, stdio: ['ignore', 'inherit', 'inherit'] });
    running.add(child);
    return child;
  };
  const first = start();
  await waitForText(join(where, 'said'), 'continued\n');
  first.kill('SIGKILL');
  await once(first, 'exit');
  const second = start();
  assert.deepEqual(await once(second, 'exit'), [0, null]);
  assertWhole(where);
});

async function answers(asked: readonly object[], over: LaunchOptions = {}): Promise<string[]> {
  const path = join(directory, `answers-${Math.random()}`);
  const out = openSync(path, 'w');
  const args = [program('refused.mjs'), packagePath, ...asked.map((one) => JSON.stringify(one))];
  const { exit } = await launchProgram(process.execPath, { args, stdio: [0, out, 2], ...over });
  closeSync(out);
  assert.deepEqual(await exit, { exitCode: 0, signal: undefined });
  return textOf(path).trim().split('\n');
}

test('a job without a store; wrong arguments', options, async () => {
  const [store, usage, missing] = await answers([{}, { snapshot: 'fork' }, { file: '/dev/null/context' }]);
  assert.match(store ?? '', /^CheckpointError ERR_NO_STORE: .*give a file/);
  assert.match(usage ?? '', /^UsageError ERR_USAGE: snapshot/);
  assert.match(missing ?? '', /^Error ENOTDIR: /);
});

test('what the wrapper fails with is what the program is told', options, async () => {
  const full = new StoreError('no room\nat all', { code: 'ERR_STORE_FULL', retriable: true });
  const [store] = await answers([{}], { onStoreRequest: () => Promise.reject(full) });
  assert.match(store ?? '', /^CheckpointError ERR_STORE_FULL: .* failed: no room at all/);
});

test('no keeper', options, async () => {
  const args = [program('refused.mjs'), packagePath, '{}'];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  running.add(child);
  const [text] = (await once(child.stdout, 'data')) as [Buffer];
  assert.match(text.toString(), /^CheckpointError ERR_NO_KEEPER: .*blcr run/);
});
