/** BLCR's kernels are old: what serves genuine BLCR must do without every system call that came after Linux 3.14. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../', import.meta.url));

test('addon, job and store on BLCR without pidfd, memfd, clone3, getrandom', { timeout: 100_000 }, (context) => {
  const directory = mkdtempSync(join(tmpdir(), 'old-kernel-'));
  context.after(() => rmSync(directory, { recursive: true, force: true }));
  const filter = join(directory, 'old_kernel');
  execFileSync('cc', ['-Wall', '-Werror', '-o', filter, join(root, 'test/blcr/programs/old_kernel.c')]);
  // The filter holds: getrandom (3.17) has number 318.
  const probe = spawnSync(filter, ['python3', '-c', 'import ctypes; print(ctypes.CDLL(None).syscall(318, 0, 0, 0))'], {
    encoding: 'utf8',
  });
  assert.equal(probe.stdout.trim(), '-1', probe.stderr);
  const arguments_ = [
    process.execPath,
    '--import',
    'tsx',
    '--test',
    'test/job/blcr.test.ts',
    'test/checkpoint/request.test.ts',
  ];
  const { status, stdout } = spawnSync(filter, arguments_, {
    cwd: root,
    encoding: 'utf8',
    // Without the mark of node:test, which runs no tests inside tests.
    env: { ...process.env, NODE_TEST_CONTEXT: undefined },
  });
  assert.equal(status, 0, stdout);
  assert.match(stdout, /^# pass [1-9]/m);
});
