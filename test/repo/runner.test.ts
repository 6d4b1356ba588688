/** The test runner itself: what it counts, and that nothing that goes wrong can look like success. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { runNodeSuite } from '../../scripts/support/test/node-suite.ts';
import { count, type Outcome } from '../../scripts/support/test/outcome.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

async function runText(text: string, timeoutSeconds = 30, isStrict = true): Promise<readonly Outcome[]> {
  const directory = mkdtempSync(join(tmpdir(), 'runner-'));
  try {
    const file = join(directory, 'sample.test.mjs');
    writeFileSync(file, `import { test, describe, it } from 'node:test';\nimport assert from 'node:assert';\n${text}`);
    const own = join(directory, 'own');
    mkdirSync(own);
    const { NODE_TEST_CONTEXT: _context, ...env } = process.env;
    const identity = { label: 'in a test', prefix: [], env, directory: own };
    const request = { title: 'sample', root, identity, lanes: 1, timeoutSeconds, isStrict };
    const suite = await runNodeSuite({ ...request, files: [relative(root, file)] });
    return suite.outcomes;
  } finally {
    rmSync(directory, { recursive: true });
  }
}

test('passed, failed and skipped tests are counted, suites are not', async () => {
  const outcomes = await runText(`
    test('good', () => {});
    test('bad', () => assert.equal(1, 2));
    test('not here', { skip: 'no such device' }, () => {});
    describe('a suite', () => { it('inside', () => {}); });
    test('parent', async (context) => { await context.test('child', () => { throw new Error('x'); }); });
  `);
  assert.deepEqual(count(outcomes), { passed: 2, failed: 2, skipped: 1 });
  assert.equal(outcomes.find(({ status }) => status === 'skipped')?.reason, 'no such device');
});

test('a file that breaks off after good tests has failed', async () => {
  const outcomes = await runText(
    "test('good', () => {});\nsetTimeout(() => process.exit(3), 300);\ntest('late', () => new Promise(() => setTimeout(() => {}, 5000)));",
  );
  assert.ok(count(outcomes).failed > 0);
});

const FAILS_ONCE = `
  import { existsSync, writeFileSync } from 'node:fs';
  test('good', () => {});
  test('starved', () => {
    const mark = new URL('./seen', import.meta.url);
    const isFirst = !existsSync(mark);
    writeFileSync(mark, '');
    assert.ok(!isFirst, 'the first run');
  });`;

test('what fails once and passes alone is unsteady and named; strictly it has failed', async () => {
  const outcomes = await runText(FAILS_ONCE, 30, false);
  assert.deepEqual(count(outcomes), { passed: 2, failed: 0, skipped: 0 });
  const unsteady = outcomes.filter(({ status }) => status === 'unsteady');
  assert.match(unsteady.map(({ name }) => name).join(), /: starved$/);
  assert.deepEqual(count(await runText(FAILS_ONCE)), { passed: 1, failed: 1, skipped: 0 });
});

test('a second run that fails elsewhere has failed', async () => {
  const outcomes = await runText(
    `${FAILS_ONCE}\ntest('then', () => assert.ok(!existsSync(new URL('./other', import.meta.url))));
    process.once('exit', () => writeFileSync(new URL('./other', import.meta.url), ''));`,
    30,
    false,
  );
  assert.deepEqual(count(outcomes), { passed: 2, failed: 1, skipped: 0 });
});

test('a file without a test has failed', async () => {
  assert.deepEqual(count(await runText('')), { passed: 0, failed: 1, skipped: 0 });
});

test('a file with a syntax error has failed', async () => {
  assert.ok(count(await runText('this is no program')).failed > 0);
});

test('a file that never ends is killed and has failed', async () => {
  const outcomes = await runText("test('endless', () => new Promise(() => setInterval(() => {}, 1000)));", 2);
  assert.match(outcomes.find(({ status }) => status === 'failed')?.reason ?? '', /no end within 2 s/);
});
