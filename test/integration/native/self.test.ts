/** Programs that checkpoint themselves through libcr: under a keeper, without one, and after a restart. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ended, INCLUDE, NATIVE, Workshop } from './tools.ts';

const LIMIT = { timeout: 30_000 };
const RESTARTED = 4;
const shop = new Workshop();
const program = shop.path('self');

before(() => {
  const source = fileURLToPath(new URL('self.c', import.meta.url));
  const flags = ['-O1', '-Wall', `-I${INCLUDE}`, `-L${NATIVE}`, `-Wl,-rpath,${NATIVE}`];
  execFileSync('cc', [...flags, '-o', program, source, '-l:libcr.so.0']);
});
after(() => shop.clean());

test('under a keeper: the original goes on, the copy knows that it is one', LIMIT, () => {
  const first = shop.run('cr_run', [program, 'kept']);
  assert.equal(first.status, 0, first.text);
  for (let copy = 0; copy < 2; copy++) {
    // The context was open in the program that is restarted, and is still there afterwards.
    const restarted = shop.run('cr_restart', ['kept']);
    assert.equal(restarted.status, RESTARTED, restarted.text);
  }
});

test('without a keeper', LIMIT, async () => {
  const alone = shop.start(program, ['alone'], 'alone.out');
  assert.equal((await ended(alone)).code, 0, shop.read('alone.out'));
  assert.equal(shop.run('cr_restart', ['alone']).status, RESTARTED);
});

test('after a restart, inside the namespaces of the job', LIMIT, async () => {
  const child = shop.start('cr_run', ['sh', '-c', `echo up; sleep 1; ${program} inside`], 'inside.out');
  await shop.waitForLines('inside.out', 1);
  await shop.checkpoint(child, 'outside', '--kill');
  await ended(child);
  const restarted = shop.run('cr_restart', ['outside']);
  assert.equal(restarted.status, 0, restarted.text);
  assert.equal(shop.run('cr_restart', ['inside']).status, RESTARTED);
});
