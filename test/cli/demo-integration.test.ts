/** The first command of the README, shortened: one lost machine instead of three. */

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { packageRoot } from '../../lib/native/load.ts';
import { SKIP } from './job-bench.ts';

test('the demo', { skip: SKIP, timeout: 600_000 }, async () => {
  const { stdout } = await promisify(execFile)(join(packageRoot, 'scripts/demo'), ['--short']);
  assert.match(stdout, /PASSED/);
});
