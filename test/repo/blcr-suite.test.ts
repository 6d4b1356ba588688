/** The suite for machines with BLCR, as far as it can run here: staged as for a machine, on the userspace libcr as it is, and shown as BLCR's. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { stageSuite, suiteCommand } from '../../scripts/support/blcr-suite.ts';
import { hasChirpServer } from '../support/chirp-server.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const isBuilt = ['dist/index.js', 'build/native/blcr-keeper'].every((path) => existsSync(join(root, path)));
const LIMITS = { timeout: 100_000, skip: isBuilt ? false : 'dist and the native parts are not built' };
const NEEDS_SERVER = hasChirpServer() ? LIMITS : { skip: 'chirp_server is not installed' };

/** Takes away what a caller of the tests may have left open: a program that is not started by a keeper keeps it. */
const WITHOUT_DESCRIPTORS =
  'for d in /proc/$$/fd/*; do n=$' + '{d##*/}; [ $n -gt 2 ] && eval "exec $n>&-"; done; exec sh -c "$1"';

function temporaryDirectory(context: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'blcr-suite-'));
  context.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

async function runSuite(
  context: TestContext,
  expect: 'blcr' | 'userspace',
  parts: string,
  env: NodeJS.ProcessEnv = {},
): Promise<void> {
  const share = temporaryDirectory(context);
  await stageSuite(root, share);
  const words = ['-c', WITHOUT_DESCRIPTORS, 'suite', suiteCommand(expect, share, parts)];
  const { status, stdout, stderr } = spawnSync('bash', words, {
    encoding: 'utf8',
    // Without the mark of node:test, which runs no tests inside tests.
    env: { ...process.env, NODE_TEST_CONTEXT: undefined, ...env },
  });
  assert.equal(status, 0, `${stdout}${stderr}`);
  assert.match(stdout.trimEnd().split('\n').at(-1) ?? '', /^[1-9]\d* passed, 0 failed, \d+ skipped$/);
}

test('what is staged runs by itself, and sums up in its last line', LIMITS, (context) =>
  runSuite(context, 'userspace', 'conformance,requests,refusals'),
);

test(
  'everything that is asked of genuine BLCR holds above a library that has only its symbols',
  NEEDS_SERVER,
  async (context) => {
    const directory = temporaryDirectory(context);
    const library = join(directory, 'libcr.so.0');
    const flags = ['-std=gnu11', '-Wall', '-Wextra', '-Werror', '-O1', '-shared', '-fPIC', '-fvisibility=hidden'];
    const source = join(root, 'test/native/as_blcr.c');
    execFileSync('cc', [...flags, `-I${join(root, 'native/include')}`, '-o', library, source, '-ldl'], {
      stdio: 'inherit',
    });
    const tools = join(directory, 'bin');
    mkdirSync(tools);
    writeFileSync(join(tools, 'cr_run'), `#!/bin/sh\nLD_PRELOAD='${library}' exec "$@"\n`, { mode: 0o755 });
    await runSuite(context, 'blcr', 'requests,refusals,jobs', {
      PATH: `${tools}:${process.env['PATH']}`,
      NODE_BLCR_LIBCR: library,
      AS_BLCR_LIBRARY: join(root, 'build/native/libcr.so.0'),
    });
  },
);
