/** Programs with callbacks and other processes: forwarding, fork, exec, callbacks that never return, requesters that go away. */
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { childrenOf, ended, Workshop, waitUntil } from '../native/tools.ts';
import { build } from './build.ts';

const LIMIT = { timeout: 60_000 };
const RESTARTED = 4;
const ABORTED = 58; // low byte of CR_ERSTRTABRT
const shop = new Workshop();
let program = '';

before(() => {
  program = build(shop, 'processes');
});
after(() => shop.clean());

/** Starts the program under a keeper; it can be checkpointed when this returns. */
async function start(output: string, ...args: string[]): Promise<ChildProcess> {
  const child = shop.start('cr_run', [program, ...args], output);
  await shop.waitForLines(output, 1);
  return child;
}

const lines = (name: string) => shop.read(name).trim().split('\n').slice(1).sort();

test('a callback adds the process that asked: both come back', LIMIT, () => {
  const first = shop.run('cr_run', [program, 'forward', 'forward.context']);
  assert.deepEqual([first.status, first.text], [0, '']);
  const second = shop.run('cr_restart', ['forward.context']);
  assert.deepEqual([second.status, second.text], [RESTARTED, '']);
});

test('a callback adds what is below its own process', LIMIT, () => {
  const first = shop.run('cr_run', [program, 'tree', 'tree.context']);
  assert.deepEqual([first.status, first.text], [0, '']);
  const second = shop.run('cr_restart', ['tree.context']);
  assert.deepEqual([second.status, second.text], [RESTARTED, '']);
});

test('without keepers: one that is being checkpointed already cannot be added', LIMIT, () => {
  const first = shop.run(program, ['busy', 'busy.context']);
  assert.deepEqual([first.status, first.text], [0, '']);
  const second = shop.run('cr_restart', ['busy.context']);
  assert.deepEqual([second.status, second.text], [RESTARTED, '']);
});

test('children have the callbacks that they register themselves, over two generations', LIMIT, async () => {
  const child = await start('family', 'family');
  const twice = (word: string) => [`child ${word}`, `child ${word}`, `parent ${word}`, `parent ${word}`];
  await shop.checkpoint(child, 'family.1');
  assert.deepEqual(lines('family'), twice('continued'));
  await shop.checkpoint(child, 'family.2', '--kill');
  await ended(child);
  assert.deepEqual(lines('family'), [...twice('continued'), ...twice('continued')].sort());
  const again = shop.start('cr_restart', ['family.2'], 'again');
  await shop.waitForLines('family', 9);
  await shop.checkpoint(again, 'family.3', '--kill');
  await ended(again);
  assert.equal(lines('family').filter((line) => line.endsWith('restarted')).length, 4);
  const third = shop.start('cr_restart', ['family.3'], 'third');
  await waitUntil(
    () => lines('family').filter((line) => line.endsWith('restarted')).length === 8,
    'the third generation',
  );
  third.kill();
  await ended(third);
});

for (const context of ['thread', 'signal']) {
  test(`callbacks in ${context} context that never return`, LIMIT, async () => {
    for (const [how, end] of [
      ['exit', 21],
      ['exec', 21],
      ['abort', 'SIGSEGV'],
    ] as const) {
      const child = await start(`${context}-${how}`, context, 'before', how);
      const target = String(childrenOf(child.pid)[0]);
      const { status, text } = shop.run('cr_checkpoint', ['--pid', '-f', 'none', target]);
      assert.equal(status, 3, text);
      const { code, signal } = await ended(child);
      assert.equal(code ?? signal, end, how);
    }
    const child = await start(`${context}-after`, context, 'after', 'exit');
    await shop.checkpoint(child, `${context}.context`, '--kill'); // ends before it is killed
    assert.equal((await ended(child)).code, 22);
    assert.equal(shop.run('cr_restart', ['--kill', `${context}.context`]).status, 23);
  });

  test(`a callback in ${context} context that fails after the restart ends it`, LIMIT, async () => {
    const child = await start(`${context}-return`, context, 'after', 'return');
    await shop.checkpoint(child, `${context}.failing`, '--kill');
    await ended(child);
    const { status, text } = shop.run('cr_restart', [`${context}.failing`]);
    assert.equal(status, ABORTED, text);
  });
}

test(
  'a requester that goes away, or whose time is over: callbacks hear it and the program goes on',
  LIMIT,
  async () => {
    const child = await start('waiting', 'wait');
    const requester = shop.start('cr_checkpoint', ['-f', 'gone.context', String(child.pid)], 'requester');
    await shop.waitForLines('waiting', 2);
    requester.kill('SIGKILL');
    await once(requester, 'exit');
    await sleep(100);
    const timed = shop.run('cr_checkpoint', ['-f', 'gone.context', '-t', '1', String(child.pid)]);
    assert.notEqual(timed.status, 0);
    shop.run('/bin/touch', ['go']);
    await waitUntil(() => shop.read('waiting').includes('result -'), 'the callback to hear it');
    await shop.checkpoint(child, 'good.context');
    assert.match(shop.read('waiting'), /result 0\n$/);
    child.kill();
    await ended(child);
  },
);

test('a program that closes every descriptor that it does not know', LIMIT, async () => {
  const child = await start('closed', 'closed');
  await shop.checkpoint(child, 'closed.context', '--kill');
  await ended(child);
  assert.deepEqual(lines('closed'), ['program continued']);
});

const stateOf = (pid: number) => readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.[0];
const running = ['program continued', 'program continued'];
const restarted = ['program restarted', 'program restarted'];

/** Starts the program and stops it. */
async function startStopped(output: string, ...args: string[]): Promise<[ChildProcess, number]> {
  const child = await start(output, 'stoppable', ...args);
  const pid = childrenOf(child.pid)[0] ?? 0;
  process.kill(pid, 'SIGSTOP');
  await waitUntil(() => stateOf(pid) === 'T', 'it to stop');
  return [child, pid];
}

test('a stopped program runs its callbacks without being continued', LIMIT, async () => {
  const [child, pid] = await startStopped('stopped');
  await shop.checkpoint(child, 'stopped.context');
  assert.deepEqual(lines('stopped'), running);
  assert.equal(stateOf(pid), 'T');
  await shop.checkpoint(child, 'stopped.again', '--cont');
  await shop.waitForLines('stopped', 6);
  assert.deepEqual(lines('stopped'), ['goes on', ...running, ...running]);
  assert.notEqual(stateOf(pid), 'T');
  process.kill(pid, 'SIGKILL');
  await ended(child);
});

test('a stopped program that is in a critical section leaves it first', LIMIT, async () => {
  const [child, pid] = await startStopped('section', 'section');
  await shop.checkpoint(child, 'section.context');
  assert.deepEqual(lines('section'), running);
  assert.equal(stateOf(pid), 'T');
  process.kill(pid, 'SIGKILL');
  await ended(child);
});

test('a stopped program is stopped after its restart, when its callbacks have returned', LIMIT, async () => {
  const [child] = await startStopped('still');
  await shop.checkpoint(child, 'still.context', '--kill');
  await ended(child);
  const again = shop.start('cr_restart', ['still.context', '--run-on-success=echo up >still.up'], 'still.out');
  await shop.waitForLines('still.up', 1);
  assert.deepEqual(lines('still'), restarted); // what came after the checkpoint has been rolled back
  let root = again.pid ?? 0;
  for (let below: number | undefined = root; below !== undefined; below = childrenOf(below)[0]) root = below;
  assert.equal(stateOf(root), 'T');
  await shop.checkpoint(again, 'still.second');
  assert.equal(stateOf(root), 'T');
  process.kill(root, 'SIGCONT');
  await shop.waitForLines('still', 6);
  assert.deepEqual(lines('still'), ['goes on', ...running, ...restarted]);
  again.kill();
  await ended(again);
  const third = shop.start('cr_restart', ['--cont', 'still.second'], 'still.out');
  const expected = ['goes on', ...restarted, ...restarted].join();
  await waitUntil(() => lines('still').join() === expected, 'it to go on');
  third.kill();
  await ended(third);
});
