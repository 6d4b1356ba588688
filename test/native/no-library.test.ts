import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { openFirst } from '../../lib/checkpoint/provider.ts';
import { isBlcrError, NativeLoadError } from '../../lib/errors.ts';
import { libraryCandidates } from '../../lib/native/libraries.ts';
import { loadNative, packageRoot } from '../../lib/native/load.ts';

const directory = mkdtempSync(join(tmpdir(), 'blcr-test-'));
after(() => rmSync(directory, { recursive: true }));

const candidate = (path: string): { path: string; what: string; skip: undefined } => ({
  path,
  what: 'test',
  skip: undefined,
});

test('the addon implements exactly the functions of NativeBinding', () => {
  const text = readFileSync(join(packageRoot, 'lib/native/binding.ts'), 'utf8');
  const body = text.slice(text.indexOf('interface NativeBinding'));
  const declared = [...body.matchAll(/^ {2}(\w+)\(/gm)].map((match) => match[1]);
  assert.ok(declared.length >= 15);
  assert.deepEqual(Object.keys(loadNative()).sort(), declared.sort());
});

test('without any library the error lists what was tried and why', () => {
  const text = join(directory, 'text');
  writeFileSync(text, 'no library');
  const missing = join(directory, 'missing.so');
  assert.throws(
    () =>
      openFirst(loadNative(), [
        candidate(missing),
        candidate(text),
        candidate('libm.so.6'),
        { path: '/skipped', what: 'x', skip: 'not wanted' },
      ]),
    (error: unknown) => {
      assert.ok(error instanceof NativeLoadError && isBlcrError(error));
      assert.equal(error.code, 'ERR_LIBCR_NOT_FOUND');
      assert.deepEqual(
        error.tried.map(({ path }) => path),
        [missing, text, 'libm.so.6', '/skipped'],
      );
      assert.match(error.tried[0]?.reason ?? '', /No such file/);
      assert.match(error.tried[1]?.reason ?? '', /file too short|invalid ELF/);
      assert.match(error.tried[2]?.reason ?? '', /does not export cri_init_checkpoint_args_t/);
      assert.match(error.message, /not wanted/);
      return true;
    },
  );
});

test('a call before a library is open fails with a code', () => {
  assert.throws(() => loadNative().strerror(1), { code: 'ENOSYS', errno: -38, syscall: 'openLibrary' });
});

test('wrong types are refused with a TypeError that names the member', () => {
  const binding = loadNative() as unknown as Record<string, (...args: unknown[]) => unknown>;
  assert.throws(() => binding['openLibrary']?.('x'), TypeError);
  assert.throws(() => binding['reap']?.({}), TypeError);
  assert.throws(() => binding['reap']?.(), TypeError);
  assert.throws(() => binding['makeFifo']?.(7), TypeError);
  assert.throws(() => binding['waitChild']?.('1'), TypeError);
  assert.throws(() => binding['waitChild']?.(-1), TypeError);
});

test('candidates: the named library alone, else BLCR with modules, else the bundled ones', () => {
  const exists = (known: readonly string[]) => (path: string) => known.includes(path);
  const named = libraryCandidates({ environment: { NODE_BLCR_LIBCR: '/own/libcr.so' }, exists: exists([]) });
  assert.deepEqual(
    named.map(({ path, skip }) => [path, skip]),
    [['/own/libcr.so', undefined]],
  );

  const half = libraryCandidates({
    environment: {},
    root: '/package',
    exists: exists(['/package/build/native/libcr.so.0']),
  });
  assert.equal(half[1]?.skip, 'its keeper /package/build/native/blcr-keeper is missing');

  const bundled = libraryCandidates({
    environment: {},
    root: '/package',
    exists: exists(['/package/build/native/libcr.so.0', '/package/build/native/blcr-keeper']),
  });
  assert.deepEqual(
    bundled.map(({ path }) => path),
    [
      'libcr.so.0',
      '/package/build/native/libcr.so.0',
      `/package/prebuilds/${process.platform}-${process.arch}/libcr.so.0`,
    ],
  );
  assert.match(bundled[0]?.skip ?? '', /kernel modules are not loaded/);
  assert.equal(bundled[1]?.skip, undefined);
  assert.equal(bundled[2]?.skip, 'not found');

  const genuine = libraryCandidates({ environment: {}, root: '/package', exists: exists(['/proc/checkpoint/ctrl']) });
  assert.equal(genuine[0]?.skip, undefined);

  const installed = libraryCandidates({
    environment: { PATH: '/usr/bin:/opt/blcr/bin' },
    root: '/package',
    exists: exists(['/proc/checkpoint/ctrl', '/opt/blcr/bin/cr_run', '/opt/blcr/lib64/libcr.so.0']),
  });
  assert.deepEqual(
    installed.filter(({ skip }) => skip === undefined).map(({ path }) => path),
    ['libcr.so.0', '/opt/blcr/lib64/libcr.so.0'],
  );
});
