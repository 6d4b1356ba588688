/** The package's commands as they are typed in the checkout. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));

function npx(args: readonly string[], env: NodeJS.ProcessEnv = {}): { status: number | null; output: string } {
  const { status, stdout, stderr } = spawnSync('npx', args, {
    cwd: root,
    encoding: 'utf8',
    env: { ...process.env, ...env },
  });
  return { status, output: stdout + stderr };
}

test('npx blcr runs the program of this checkout', () => {
  const { status, output } = npx(['blcr', '--help']);
  assert.equal(status, 0, output);
  assert.match(output, /doctor +which libcr/);
});

test('npx works for a user without a home directory', () => {
  const { status, output } = npx(['blcr', '--help'], { HOME: '/nonexistent' });
  assert.equal(status, 0, output);
});

test('npx blcr_wrapper passes its exit status on: wrong arguments are 64', () => {
  const { status, output } = npx(['blcr_wrapper', 'host']);
  assert.equal(status, 64, output);
});

test('npx blcr run passes arguments on as they are', () => {
  const { status, output } = npx(['blcr', 'run', '--store', 'nowhere://x', '--id', 'a b', '--', 'true']);
  assert.equal(status, 64, output);
});
