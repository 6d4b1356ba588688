/** The suite for machines with BLCR, as far as it can run here: staged as for a machine, on the userspace libcr. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { stageSuite, suiteCommand } from '../../scripts/support/blcr-suite.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const isBuilt = ['dist/index.js', 'build/native/blcr-keeper'].every((path) => existsSync(join(root, path)));

test('what is staged runs by itself, and sums up in its last line', {
  timeout: 100_000,
  skip: isBuilt ? false : 'dist and the native parts are not built',
}, async (context) => {
  const share = mkdtempSync(join(tmpdir(), 'blcr-suite-'));
  context.after(() => rmSync(share, { recursive: true, force: true }));
  await stageSuite(root, share);
  const { status, stdout, stderr } = spawnSync(
    'sh',
    ['-c', suiteCommand('userspace', share, 'conformance,requests,refusals')],
    {
      encoding: 'utf8',
      // Without the mark of node:test, which runs no tests inside tests.
      env: { ...process.env, NODE_TEST_CONTEXT: undefined },
    },
  );
  assert.equal(status, 0, `${stdout}${stderr}`);
  assert.match(stdout.trimEnd().split('\n').at(-1) ?? '', /^[1-9]\d* passed, 0 failed, \d+ skipped$/);
});
