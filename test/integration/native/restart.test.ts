/** cr_run, cr_checkpoint and cr_restart with real programs: generations, exit status, signals, deaths. */
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { childrenOf, ended, isAlive, Workshop, waitUntil } from './tools.ts';

const LIMIT = { timeout: 60_000 };
const shop = new Workshop();
after(() => shop.clean());

const COUNTER = 'for i in $(seq 1 60); do echo $$ $i; sleep 0.05; done; exit 9';

/** Kills the job at a checkpoint and restarts it, `generations` times; the last restart's process. */
async function survive(child: ChildProcess, name: string, generations: number): Promise<ChildProcess> {
  let current = child;
  for (let generation = 1; generation <= generations; generation++) {
    await shop.waitForLines(name, 8 * generation);
    const file = `${name}.context-${generation}`;
    await shop.checkpoint(current, file, '--kill');
    assert.equal((await ended(current)).signal, 'SIGKILL');
    assert.equal(statSync(shop.path(file)).mode & 0o777, 0o400);
    current = shop.start('cr_restart', [file], `${name}.restart-${generation}`);
  }
  return current;
}

test('a job survives three generations with its number, output and exit status', LIMIT, async () => {
  const last = await survive(shop.start('cr_run', ['bash', '-c', COUNTER], 'counter'), 'counter', 3);
  assert.deepEqual(await ended(last), { code: 9, signal: null }, shop.read('counter.restart-3.err'));
  const lines = shop.read('counter').trim().split('\n');
  const [pid] = (lines[0] ?? '').split(' ');
  assert.deepEqual(
    lines,
    Array.from({ length: 60 }, (_, index) => `${pid} ${index + 1}`),
  );
});

test('a pipeline survives with what is in its pipes', LIMIT, async () => {
  const script =
    '{ for i in $(seq 1 3000); do echo line $i; done; } | while read l; do echo "got $l"; case $l in *00) sleep 0.1;; esac; done; echo "$?"';
  const last = await survive(shop.start('cr_run', ['bash', '-c', script], 'pipeline'), 'pipeline', 2);
  assert.equal((await ended(last)).code, 0, shop.read('pipeline.restart-2.err'));
  const expected = [...Array.from({ length: 3000 }, (_, index) => `got line ${index + 1}`), '0'];
  assert.deepEqual(shop.read('pipeline').trim().split('\n'), expected);
});

test('two copies run at the same time, each with the old number', LIMIT, async () => {
  // $PPID of a new child is what the kernel says of the shell's number; $$ is what the shell remembers.
  const script = "echo up; sleep 1; [ $(sh -c 'echo $PPID') = $$ ] && exit 6";
  const child = shop.start('cr_run', ['bash', '-c', script], 'copies');
  await shop.waitForLines('copies', 1);
  await shop.checkpoint(child, 'copies.context', '--term');
  await ended(child);
  const copies = [1, 2].map((copy) => shop.start('cr_restart', ['copies.context'], `copies.${copy}`));
  for (const copy of copies) assert.equal((await ended(copy)).code, 6);
});

test('signals reach a restarted program, and it ends its keeper as itself', LIMIT, async () => {
  const script = 'trap "echo usr1" USR1; echo ready; for i in $(seq 1 1000); do sleep 0.05; done';
  const child = shop.start('cr_run', ['bash', '-c', script], 'signals');
  await shop.waitForLines('signals', 1);
  await shop.checkpoint(child, 'signals.context', '--kill');
  await ended(child);
  const restarted = shop.start('cr_restart', ['signals.context'], 'signals.restart');
  await waitUntil(() => childrenOf(childrenOf(childrenOf(restarted.pid)[0])[0]).length > 0, 'the restarted program');
  restarted.kill('SIGUSR1');
  await shop.waitForLines('signals', 2);
  restarted.kill('SIGHUP');
  assert.deepEqual(await ended(restarted), { code: null, signal: 'SIGHUP' });
});

test('a restarted job dies with its keepers, outer or inner', LIMIT, async () => {
  const child = shop.start('cr_run', ['sh', '-c', 'sleep 1000 & sleep 1000'], 'deaths');
  await waitUntil(() => childrenOf(childrenOf(child.pid)[0]).length === 2, 'the job');
  await shop.checkpoint(child, 'deaths.context', '--kill');
  await ended(child);
  for (const victim of ['outer', 'inner'] as const) {
    const options = ['--run-on-success=echo restarted', 'deaths.context'];
    const restarted = shop.start('cr_restart', options, `deaths.${victim}`);
    const keepers = { outer: 0, inner: 0 };
    let job: number[] = [];
    await waitUntil(() => {
      keepers.outer = childrenOf(restarted.pid)[0] ?? 0;
      const [first = 0] = childrenOf(keepers.outer);
      keepers.inner = childrenOf(first)[0] ?? 0;
      const [root = 0] = childrenOf(keepers.inner);
      job = [root, ...childrenOf(root)];
      return job.length === 3;
    }, 'the restarted job');
    await shop.waitForLines(`deaths.${victim}`, 1);
    process.kill(keepers[victim], 'SIGKILL');
    assert.equal((await ended(restarted)).signal, 'SIGKILL');
    await waitUntil(() => !job.some(isAlive), `nothing to outlive the ${victim} keeper`);
  }
});

test('a requester killed in the middle costs its request only', LIMIT, async () => {
  const child = shop.start(
    'cr_run',
    ['python3', '-c', 'x = bytearray(range(256)) * 40000\nimport time\nprint("up", flush=True)\ntime.sleep(1000)'],
    'requester',
  );
  await shop.waitForLines('requester', 1);
  const requester = shop.start('cr_checkpoint', ['-F', '3', String(child.pid)], 'requester.request', ['pipe']);
  await sleep(500);
  requester.kill('SIGKILL');
  await ended(requester);
  await waitUntil(
    () => shop.run('cr_checkpoint', ['-f', 'requester.context', String(child.pid)]).status === 0,
    'the next checkpoint',
  );
  const [root = 0] = childrenOf(child.pid);
  assert.ok(isAlive(root));
  assert.deepEqual(childrenOf(child.pid), [root], 'no copy is left behind');
  child.kill('SIGKILL');
});

test('damaged contexts are refused and leave files alone', LIMIT, async () => {
  const child = shop.start('cr_run', ['bash', '-c', COUNTER], 'damage');
  await shop.waitForLines('damage', 3);
  await shop.checkpoint(child, 'damage.context');
  await ended(child);
  const output = shop.read('damage');
  const good = readFileSync(shop.path('damage.context'));
  for (const [name, bytes] of Object.entries({
    truncated: good.subarray(0, good.length - 1),
    flipped: Buffer.from(good.map((byte, index) => (index === good.length >> 1 ? byte ^ 1 : byte))),
    empty: Buffer.alloc(0),
  })) {
    writeFileSync(shop.path(name), bytes);
    const { status, text } = shop.run('cr_restart', [name]);
    assert.ok(status === 5 || status === 22, `${name}: ${status} ${text}`);
    assert.match(text, /Restart failed/);
    assert.equal(shop.read('damage'), output, name);
  }
});

test('a checkpoint without a target, or of init, fails with its error as exit code', LIMIT, () => {
  assert.equal(shop.run('cr_checkpoint', ['4194303']).status, 3);
  assert.ok([1, 52].includes(shop.run('cr_checkpoint', ['1']).status ?? 0));
  assert.equal(shop.run('cr_restart', ['nothing-here']).status, 255);
});

test('the host is probed by really restarting a program', LIMIT, () => {
  const { status, text } = shop.run('blcr-keeper', ['probe']);
  assert.equal(status, 0, text);
  const facts = JSON.parse(text) as Record<string, unknown>;
  assert.equal(facts['ok'], true);
  assert.equal(typeof facts['userNamespaces'], 'boolean');
  assert.match(String(facts['kernel']), /^\d/);
});
