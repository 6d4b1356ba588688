/** blcr-keeper run and cr_run: exit status, signals, orphans, and what happens when somebody dies. */
import assert from 'node:assert/strict';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { after, test } from 'node:test';
import { childrenOf, ended, isAlive, Workshop, waitUntil } from './tools.ts';

const LIMIT = { timeout: 30_000 };
const shop = new Workshop();
after(() => shop.clean());

test('the exit status is the program’s', LIMIT, () => {
  assert.equal(shop.run('cr_run', ['sh', '-c', 'exit 3']).status, 3);
  assert.equal(shop.run('cr_run', ['--', 'true']).status, 0);
});

test('a program killed by a signal: the keeper dies of the same', LIMIT, () => {
  assert.equal(shop.run('cr_run', ['sh', '-c', 'kill -USR2 $$']).signal, 'SIGUSR2');
  assert.equal(shop.run('cr_run', ['sh', '-c', 'kill -SEGV $$']).signal, 'SIGSEGV');
});

test('a program that cannot be started is reported', LIMIT, async () => {
  const missing = shop.run('cr_run', ['/no/such/program']);
  assert.equal(missing.status, 127);
  assert.match(missing.text, /\/no\/such\/program: No such file/);
  assert.equal(shop.run('cr_run', ['/etc/passwd']).status, 126);
  const child = shop.start('blcr-keeper', ['run', '--report', '3', '--', '/no/such/program'], 'missing', ['pipe']);
  assert.match(await text(child.stdio[3] as Readable), /^failed 2 .*\n$/);
});

test('wrong arguments start nothing', LIMIT, () => {
  for (const args of [[], ['run'], ['run', '--'], ['run', '--lifeline', 'x', '--', 'true'], ['fly']]) {
    assert.equal(shop.run('blcr-keeper', args).status, 64, args.join(' '));
  }
  assert.equal(shop.run('blcr-keeper', ['run', '--lifeline', '99', '--', 'true']).status, 64);
  assert.equal(shop.run('cr_run', []).status, 255);
  assert.equal(shop.run('cr_checkpoint', []).status, 255);
  assert.equal(shop.run('cr_restart', ['--fly']).status, 255);
});

test('signals reach the program; ignored ones and the mask are as they were', LIMIT, async () => {
  const script = 'trap "echo usr1" USR1; trap "echo term; exit 5" TERM; echo ready; while :; do sleep 0.05; done';
  const child = shop.start('cr_run', ['bash', '-c', script], 'signals');
  await shop.waitForLines('signals', 1);
  child.kill('SIGUSR1');
  await shop.waitForLines('signals', 2);
  child.kill('SIGTERM');
  assert.deepEqual(await ended(child), { code: 5, signal: null });
  assert.equal(shop.read('signals'), 'ready\nusr1\nterm\n');
  const settings = shop.run('cr_run', ['grep', '-E', 'Sig(Blk|Ign|Cgt)', '/proc/self/status']);
  assert.match(settings.text, /SigBlk:\t0{16}\n/);
});

test('orphans are reaped, and nothing outlives the program', LIMIT, async () => {
  const script = '(sh -c "sleep 0.2" & ) ; (sleep 1000 & echo $! ) ; sleep 1; exit 4';
  const child = shop.start('cr_run', ['sh', '-c', script], 'orphans');
  await shop.waitForLines('orphans', 1);
  const daemon = Number(shop.read('orphans'));
  assert.ok(isAlive(daemon));
  assert.equal((await ended(child)).code, 4);
  assert.ok(!isAlive(daemon));
});

test('the end of the lifeline ends everything', LIMIT, async () => {
  const args = ['run', '--lifeline', '3', '--report', '4', '--', 'sh', '-c', 'sleep 1000 & echo $!; wait'];
  const child = shop.start('blcr-keeper', args, 'lifeline', ['pipe', 'pipe']);
  await shop.waitForLines('lifeline', 1);
  const [root = 0] = childrenOf(child.pid);
  const inner = Number(shop.read('lifeline'));
  (child.stdio[3] as Readable).destroy();
  await ended(child);
  assert.ok(!isAlive(root) && !isAlive(inner));
});

test('the program goes when its keeper is killed', LIMIT, async () => {
  const child = shop.start('cr_run', ['sleep', '1000'], 'killed');
  await waitUntil(() => childrenOf(child.pid).length === 1, 'the program');
  const [root = 0] = childrenOf(child.pid);
  child.kill('SIGKILL');
  await waitUntil(() => !isAlive(root), 'the program to be gone');
});

test('the keeper holds none of the program’s descriptors', LIMIT, async () => {
  // The reader of descriptor 3 sees its end as soon as the program closes it, although the program goes on.
  const child = shop.start('cr_run', ['sh', '-c', 'echo x >&3; exec 3>&-; exec sleep 1000'], 'descriptors', ['pipe']);
  assert.equal(await text(child.stdio[3] as Readable), 'x\n');
  child.kill('SIGTERM');
  assert.equal((await ended(child)).signal, 'SIGTERM');
});
