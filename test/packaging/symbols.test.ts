/** The addon and libcr.so.0 load wherever Node does, the keeper everywhere, whatever machine they were built on. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { packageRoot } from '../../lib/native/load.ts';
import { isStatic, neededLibraries, OLDEST_GLIBC, tooNewSymbols } from './symbols.ts';

const addon = join(packageRoot, 'build/Release/node_blcr.node');
const library = join(packageRoot, 'build/native/libcr.so.0');
const keeper = join(packageRoot, 'build/native/blcr-keeper');

/** Parts of the C library. libstdc++ and libgcc are linked statically: a node's own may be older than our compiler's. */
const C_LIBRARY = /^(libc\.so\.6|libdl\.so\.2|libpthread\.so\.0|libm\.so\.6|librt\.so\.1|ld-linux-x86-64\.so\.2)$/;

for (const file of [addon, library]) {
  test(`${file.slice(packageRoot.length)} needs nothing newer than glibc ${OLDEST_GLIBC}`, () => {
    assert.deepEqual(tooNewSymbols(file), []);
    assert.deepEqual(
      neededLibraries(file).filter((name) => !C_LIBRARY.test(name)),
      [],
    );
  });
}

test('libcr.so.0 names the libraries that older C libraries keep dl and pthread functions in', () => {
  const needed = neededLibraries(library);
  assert.ok(needed.includes('libdl.so.2') && needed.includes('libpthread.so.0'), needed.join(' '));
});

test('the keeper is static', () => assert.ok(isStatic(keeper)));

test('what is too new is found: cr_run is linked against the C library of this machine', () => {
  const tool = join(packageRoot, 'build/native/cr_run');
  assert.equal(isStatic(tool), false);
  // __libc_start_main got a new version in 2.34; on an older machine there is nothing to find.
  const version = process.report.getReport() as unknown as { header: { glibcVersionRuntime?: string } };
  if (Number(version.header.glibcVersionRuntime?.split('.')[1]) >= 34) {
    assert.match(tooNewSymbols(tool).join('\n'), /GLIBC_2\.34 __libc_start_main/);
  }
});
