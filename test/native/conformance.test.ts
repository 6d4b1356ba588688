/**
 * The contract of libcr, asked of every provider by one program: our library, the scripted one that plays genuine BLCR in tests, and the
 * library named by $NODE_BLCR_CONFORMANCE (genuine BLCR inside its machine). Differences are listed here with reasons, and nowhere else.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { buildScriptedLibrary } from './scripted.ts';

const { EAGAIN, EBADF, EBUSY, EDEADLK, EINVAL, ENOTTY, ESRCH } = constants.errno;
const packageFile = (name: string) => fileURLToPath(new URL(`../../${name}`, import.meta.url));
const directory = mkdtempSync(join(tmpdir(), 'blcr-conformance-'));
const program = join(directory, 'conformance');

/** What the contract says. */
const CONTRACT: Readonly<Record<string, number>> = {
  'defaults.checkpoint': 0,
  'defaults.checkpoint.scope': -1,
  'defaults.checkpoint.fd': -1,
  'defaults.checkpoint.rest': 0,
  'defaults.restart': 0,
  'defaults.restart.flags': 2,
  'defaults.restart.fd': -1,
  'defaults.restart.relocate': 0,
  'defaults.version2': -EINVAL,
  'init.first': 0,
  'init.second': 1,
  'strerror.own': 1,
  'strerror.errno': 0,
  'refused.version': -EINVAL,
  'refused.scope': -EINVAL,
  'refused.signal': -EINVAL,
  'refused.descriptor': -EINVAL,
  'refused.target': -ESRCH,
  'refused.self': -EDEADLK,
  'refused.readonly': -EBADF,
  'refused.handle': 77,
  'late.request': 0,
  'late.log': 1,
  'late.reap': -ESRCH,
  'late.handle': -1,
  'file.request': 0,
  'file.poll': 1,
  'file.handle': -1,
  'target.lives': 0,
  'handle.foreign': -ENOTTY,
  'handle.foreign.kept': 1,
  'handle.closed': -EBADF,
  'pipe.request': 0,
  'pending.request': 0,
  'pending.wait': 0,
  'pending.poll': 0,
  'pending.closeonexec': 1,
  'pending.second': -EBUSY,
  'pending.reap': -EAGAIN,
  'pending.reap.kept': 1,
  'done.wait': 1,
  'done.log': 0,
  'done.reap': 0,
  'done.handle': -1,
  'done.again': EBADF,
};

interface Difference {
  /** `undefined`: the fact is not reached. */
  readonly value: number | undefined;
  readonly reason: string;
}

/** What genuine BLCR does otherwise, and so the library that plays its part. */
const afterEarlyReap: Difference = { value: undefined, reason: 'the early reap has closed the handle' };
const GENUINE: Readonly<Record<string, Difference>> = {
  'pipe.request': { value: -EINVAL, reason: 'the kernel module takes files with a name only' },
  'pending.reap.kept': { value: 0, reason: 'an early reap closes the handle, whatever the header says' },
  'done.wait': afterEarlyReap,
  'done.log': afterEarlyReap,
  'done.reap': afterEarlyReap,
  'done.handle': afterEarlyReap,
  'done.again': afterEarlyReap,
};

before(() => {
  const flags = ['-std=gnu11', '-O1', '-Wall', '-Wextra', '-Werror', `-I${packageFile('native/include')}`];
  execFileSync('cc', [...flags, '-o', program, packageFile('test/native/conformance.c'), '-ldl']);
});
after(() => rmSync(directory, { recursive: true }));

function askLibrary(library: string, ...under: string[]): Record<string, number> {
  const place = mkdtempSync(join(directory, 'place-'));
  // Nothing of the test run may be open in the target but the standard descriptors.
  const { status, stdout, stderr } = spawnSync(
    'bash',
    [
      '-c',
      'for d in /proc/$$/fd/*; do n=$' + '{d##*/}; [ $n -gt 2 ] && eval "exec $n>&-"; done; exec "$@"',
      'ask',
      ...under,
      program,
      library,
      place,
    ],
    { encoding: 'utf8', timeout: 60_000, env: { ...process.env, SCRIPTED_LIBCR: 'delay=200;bytes=300000' } },
  );
  assert.deepEqual([status, stderr], [0, '']);
  const facts = stdout
    .trim()
    .split('\n')
    .map((line) => line.split(' '));
  return Object.fromEntries(facts.map(([name, value]) => [name, Number(value)]));
}

function compare(library: string, differences: Readonly<Record<string, Difference>>, ...under: string[]): void {
  const facts = askLibrary(library, ...under);
  const found = Object.entries(facts).filter(([name]) => !name.startsWith('symbol.'));
  const expected = Object.entries(CONTRACT)
    .map(([name, value]) => [name, name in differences ? differences[name]?.value : value] as const)
    .filter(([, value]) => value !== undefined);
  assert.deepEqual(Object.fromEntries(found), Object.fromEntries(expected));
  const missing = Object.entries(facts).filter(([name, value]) => name.startsWith('symbol.') && value !== 1);
  assert.deepEqual(missing, []);
}

// Under a keeper, as jobs are: without one, each request has a keeper of its own, and two of them may come to the same target.
test('our libcr', { timeout: 90_000 }, () => {
  compare(packageFile('build/native/libcr.so.0'), {}, packageFile('build/native/cr_run'));
});

test('the scripted libcr', { timeout: 90_000 }, () => {
  compare(buildScriptedLibrary(), GENUINE);
});

const genuine = process.env['NODE_BLCR_CONFORMANCE'];
test('the library of $NODE_BLCR_CONFORMANCE', { skip: genuine === undefined, timeout: 900_000 }, () => {
  compare(genuine ?? '', GENUINE);
});
