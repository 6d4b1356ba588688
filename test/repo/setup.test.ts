import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));

test('a second set-up finds nothing to do and says nothing', () => {
  const { status, stdout, stderr } = spawnSync('./scripts/setup', ['--quiet'], { cwd: root, encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  assert.equal(stdout + stderr, '');
});

test('several set-ups at once do not meet', async () => {
  const runs = Array.from({ length: 3 }, () => spawn('./scripts/setup', ['--quiet'], { cwd: root, stdio: 'ignore' }));
  const codes = await Promise.all(runs.map((child) => new Promise((resolve) => child.once('exit', resolve))));
  assert.deepEqual(codes, [0, 0, 0]);
});

test('wrong arguments are refused', () => {
  assert.equal(spawnSync('./scripts/setup', ['--what'], { cwd: root }).status, 64);
});
