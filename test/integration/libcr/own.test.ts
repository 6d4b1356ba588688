/** Programs that ask for their own checkpoints: with a keeper and without. The programs check; this starts them. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { NATIVE, Workshop } from '../native/tools.ts';
import { build } from './build.ts';

const LIMIT = { timeout: 60_000 };
const RESTARTED = 4;
const shop = new Workshop();
let program = '';

before(() => {
  program = build(shop, 'own');
});
after(() => shop.clean());

for (const what of ['at once', 'overlap', 'signals', 'replaced', 'descriptors']) {
  for (const keeper of ['with', 'without']) {
    test(`${what}, ${keeper} a keeper`, LIMIT, () => {
      const context = `${what[0]}-${keeper}`;
      const first =
        keeper === 'with' ? shop.run('cr_run', [program, what, context]) : shop.run(program, [what, context]);
      assert.deepEqual([first.status, first.text], [0, '']);
      const second = shop.run('cr_restart', [context]);
      assert.deepEqual([second.status, second.text], [RESTARTED, '']);
    });
  }
}

test('cr_checkpoint, started by the job that it checkpoints, succeeds in the restarted job, too', LIMIT, () => {
  const script = `for way in --clobber --atomic; do ${NATIVE}cr_checkpoint -f script.context $way $$ || exit; done; exit 5`;
  const first = shop.run('cr_run', ['sh', '-c', script]);
  assert.deepEqual([first.status, first.text], [5, '']);
  for (let times = 0; times < 2; times++) {
    const again = shop.run('cr_restart', ['script.context']);
    assert.deepEqual([again.status, again.text], [5, '']);
  }
});
