/** scripts/with-chirp-server, as people use it. */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { hasChirpServer } from '../support/chirp-server.ts';

const SCRIPT = fileURLToPath(new URL('../../scripts/with-chirp-server', import.meta.url));
const skip = hasChirpServer() ? false : 'chirp_server is not installed (coop-computing-tools)';

function run(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(SCRIPT, args, { encoding: 'utf8', timeout: 20_000, cwd: tmpdir() });
}

test('runs a command beside a server of its own and removes it', { skip }, () => {
  const { status, stdout } = run(
    ...['--auth', 'hostname', '--idle', '30', '--'],
    ...['sh', '-c', 'chirp -a hostname $CHIRP_HOST:$CHIRP_PORT whoami; echo $CHIRP_ROOT; test -d $CHIRP_ROOT; exit 7'],
  );
  const [subject, root] = stdout.trim().split('\n');
  assert.equal(status, 7);
  assert.equal(subject, 'hostname:localhost');
  assert.equal(existsSync(root ?? '/'), false);
});

test('passes signals on as the shell does, and refuses wrong usage', { skip }, () => {
  assert.equal(run('--', 'sh', '-c', 'kill -9 $$').status, 137);
  for (const args of [[], ['--'], ['--nonsense', '--', 'true']]) {
    const { status, stderr } = run(...args);
    assert.equal(status, 64);
    assert.match(stderr, /usage/);
  }
  assert.equal(run('--', '/no/such/program').status, 127);
});
