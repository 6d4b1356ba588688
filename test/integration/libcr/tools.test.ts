/** BLCR's utilities as scripts use them: option names, exit codes, hooks, processes that are left out. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { childrenOf, ended, NATIVE, Workshop } from '../native/tools.ts';

const LIMIT = { timeout: 60_000 };
const USAGE = 255;
const EINVAL = 22;
const ESRCH = 3;
const shop = new Workshop();
after(() => shop.clean());

const status = (tool: string, ...args: string[]) => shop.run(tool, args).status;

test('command lines that are refused, with BLCR’s exit codes', LIMIT, () => {
  assert.equal(status('cr_checkpoint'), USAGE);
  assert.equal(status('cr_checkpoint', '--nonsense', '1'), USAGE);
  assert.equal(status('cr_checkpoint', '--ptrace', '1'), USAGE); // ambiguous
  assert.equal(status('cr_checkpoint', '-f', 'a', '-F', '3', '1'), EINVAL);
  assert.equal(status('cr_checkpoint', '-d', 'directory', '1'), EINVAL);
  assert.equal(status('cr_checkpoint', '-S', '65', '1'), EINVAL);
  assert.equal(status('cr_checkpoint', '--time', '-1', '1'), EINVAL);
  assert.equal(status('cr_restart'), USAGE);
  assert.equal(status('cr_restart', 'one', 'two'), USAGE);
  assert.equal(status('cr_restart', '--relocate', '/a', 'context'), EINVAL);
  assert.equal(status('cr_restart', '--relocate', '/a=b', 'context'), EINVAL);
  assert.equal(status('cr_restart', '--relocate', '/a=/b=/c', 'context'), EINVAL);
  for (const tool of ['cr_run', 'cr_checkpoint', 'cr_restart']) {
    for (const option of ['--help', '-?', '-h', '--version'])
      assert.equal(status(tool, option), 0, `${tool} ${option}`);
  }
  assert.match(shop.run('cr_restart', ['-v']).text, /0\.8\.6/);
  assert.equal(shop.run('cr_restart', ['-q', 'missing']).text, '');
});

test('hooks of cr_restart take the place of its exit status', LIMIT, async () => {
  assert.equal(status('cr_restart', '--run-on-fail-args=exit 41', '--nonsense'), 41);
  assert.equal(status('cr_restart', '--run-on-failure=exit 42', 'missing'), 42);
  assert.equal(status('cr_restart', '--run-on-fail-perm=exit 43', '/dev/null'), 43);
  assert.equal(status('cr_restart', '--run-on-fail-args=true', 'missing'), USAGE);
  const child = shop.start('cr_run', ['sh', '-c', 'echo up; sleep 0.5; exit 7'], 'hooks');
  await shop.waitForLines('hooks', 1);
  // Combined letters and beginnings of names, as getopt_long takes them.
  await shop.checkpoint(child, 'hooks.context', '-qT', '--nosy', '--ki');
  await ended(child);
  assert.equal(status('cr_restart', '--run-on-success=echo good >good', '--omit-never', 'hooks.context'), 7);
  assert.equal(shop.read('good'), 'good\n');
});

test('backups are numbered', LIMIT, async () => {
  const child = shop.start('cr_run', ['sh', '-c', 'echo up; sleep 100'], 'backup');
  await shop.waitForLines('backup', 1);
  for (let round = 0; round < 3; round++) await shop.checkpoint(child, 'backed', '--backup');
  for (const name of ['backed', 'backed.~1~', 'backed.~2~']) assert.ok(shop.read(name).length > 0, name);
  assert.equal(shop.read('backed.~3~'), '');
  child.kill();
  await ended(child);
});

test('cr_run --omit: alone there is nothing to checkpoint; in a job the others are', LIMIT, async () => {
  const alone = shop.start('cr_run', ['--omit', 'sh', '-c', 'echo up; exec sleep 100'], 'alone');
  await shop.waitForLines('alone', 1);
  assert.equal(status('cr_checkpoint', '-f', 'alone.context', String(alone.pid)), ESRCH);
  alone.kill();
  await ended(alone);
  const job = shop.start('cr_run', ['sh', '-c', `${NATIVE}cr_run --omit sleep 100 & echo up; sleep 100; true`], 'job');
  await shop.waitForLines('job', 1);
  await new Promise((resolve) => setTimeout(resolve, 300));
  await shop.checkpoint(job, 'job.context', '--kill');
  await ended(job);
  const again = shop.start('cr_restart', ['job.context', '--run-on-success=echo up >again'], 'again.out');
  await shop.waitForLines('again', 1);
  const root = childrenOf(childrenOf(childrenOf(again.pid)[0])[0])[0];
  assert.equal(childrenOf(root).length, 1);
  again.kill();
  await ended(again);
});
