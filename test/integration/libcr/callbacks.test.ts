/** Programs that take part in their own checkpoints: callbacks, critical sections, hooks, holds. The programs check; this starts them. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Workshop } from '../native/tools.ts';
import { build } from './build.ts';

const LIMIT = { timeout: 60_000 };
const RESTARTED = 4;
const shop = new Workshop();
const programs = { callbacks: '', sections: '' };

before(() => {
  programs.callbacks = build(shop, 'callbacks');
  programs.sections = build(shop, 'sections');
});
after(() => shop.clean());

for (const context of ['thread', 'signal']) {
  test(`what callbacks in ${context} context may say, and what they are told`, LIMIT, () => {
    const first = shop.run('cr_run', [programs.callbacks, context, `${context}.context`, 'continue']);
    assert.deepEqual([first.status, first.text], [0, '']);
    const second = shop.run('cr_restart', [`${context}.context`]);
    assert.deepEqual([second.status, second.text], [RESTARTED, '']);
  });

  test(`a permanent failure or a failed continuation in ${context} context kills the program`, LIMIT, () => {
    for (const how of ['permanent', 'fail']) {
      const { signal, text } = shop.run('cr_run', [programs.callbacks, context, 'lost.context', how]);
      assert.deepEqual([signal, text], ['SIGKILL', ''], how);
    }
  });
}

test('without a keeper: one is started for the request', LIMIT, () => {
  const { status, text } = shop.run(programs.callbacks, ['signal', 'alone.context', 'continue']);
  assert.deepEqual([status, text], [0, '']);
  assert.equal(shop.run('cr_restart', ['alone.context']).status, RESTARTED);
});

test('critical sections, hooks, held threads, and what callbacks are told of the request', LIMIT, () => {
  const first = shop.run('cr_run', [programs.sections, shop.path('sections.context')]);
  assert.deepEqual([first.status, first.text], [0, '']);
  const second = shop.run('cr_restart', ['sections.context']);
  assert.deepEqual([second.status, second.text], [RESTARTED, '']);
});
