/** A program whose callbacks close and reopen its TCP connections around a checkpoint, as MPI libraries do. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { ended, Workshop, waitUntil } from '../native/tools.ts';
import { build } from './build.ts';

const shop = new Workshop();
after(() => shop.clean());

test('connected ranks go on after a checkpoint, and after two restarts', { timeout: 90_000 }, async () => {
  const program = build(shop, 'ranks', new URL('../../../examples/ranks.c', import.meta.url));
  const first = shop.start('cr_run', [program, '1500'], 'out');
  await shop.waitForLines('out', 2);
  await shop.checkpoint(first, 'running');
  const after = shop.read('out').length;
  await waitUntil(() => shop.read('out').length > after, 'the ranks to go on');
  await shop.checkpoint(first, 'one', '--kill');
  await ended(first);
  const second = shop.start('cr_restart', ['one'], 'second');
  const restarted = shop.read('out').length;
  await waitUntil(() => shop.read('out').length > restarted, 'the restarted ranks to go on');
  await shop.checkpoint(second, 'two', '--kill');
  await ended(second);
  const third = shop.start('cr_restart', ['two'], 'third');
  assert.equal((await ended(third)).code, 0, shop.read('third.err'));
  const lines = shop.read('out').trim().split('\n');
  assert.equal(lines.at(-1), `sum ${(1500 * 1499) / 2}`);
});
