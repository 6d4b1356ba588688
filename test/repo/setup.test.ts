import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));

test('after a set-up nothing is left to do, also for several checks at once', async () => {
  const checks = Array.from({ length: 3 }, () => {
    const child = spawn('./scripts/setup', ['--check', '--quiet'], { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
    const output = Promise.all([text(child.stdout), text(child.stderr)]);
    return new Promise((resolve) => child.once('exit', async (code) => resolve([code, ...(await output)])));
  });
  for (const result of await Promise.all(checks)) assert.deepEqual(result, [0, '', '']);
});

test('wrong arguments are refused', () => {
  assert.equal(spawnSync('./scripts/setup', ['--what'], { cwd: root }).status, 64);
});
