/** Requests by programs that link libcr: order of callbacks, conveniences, scopes, traced processes, waiting, restarts with every flag. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Workshop } from '../native/tools.ts';
import { build } from './build.ts';

const LIMIT = { timeout: 60_000 };
const RESTARTED = 4;
const shop = new Workshop();
let program = '';

before(() => {
  program = build(shop, 'requests');
});
after(() => shop.clean());

for (const what of ['conveniences', 'scopes', 'traced', 'waits', 'restarts']) {
  test(what, LIMIT, () => {
    const { status, text } = shop.run(program, [what]);
    assert.deepEqual([status, text], [0, '']);
  });
}

test('callbacks run in the order that libcr.h promises, also in the restarted program', LIMIT, () => {
  const first = shop.run('cr_run', [program, 'ordered']);
  assert.deepEqual([first.status, first.text], [0, '']);
  const second = shop.run('cr_restart', ['order.context']);
  assert.deepEqual([second.status, second.text], [RESTARTED, '']);
});
