/** What the single executable asks of a node, and what it says where it cannot run. */
import assert from 'node:assert/strict';
import {
  copyFileSync,
  existsSync,
  readFileSync,
  realpathSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { packageRoot } from '../../lib/native/load.ts';
import { JobBench } from '../cli/job-bench.ts';
import { isStatic, OLDEST_GLIBC, tooNewSymbols } from '../packaging/symbols.ts';
import { buildSingle, NO_BUILD, NO_MOUNTS, runSingle, SINGLE } from './single.ts';

before(() => {
  buildSingle();
});

const { version } = JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8')) as { version: string };
const MOST_BYTES = 40e6;

test(`small, static in front, nothing inside newer than glibc ${OLDEST_GLIBC}`, { skip: NO_BUILD }, () => {
  assert.ok(statSync(SINGLE).size <= MOST_BYTES, `${statSync(SINGLE).size} bytes`);
  assert.ok(isStatic(SINGLE));
  const parts = join(packageRoot, 'build/wrapper');
  for (const name of ['node', 'addon', 'libcr.so.0']) assert.deepEqual(tooNewSymbols(join(parts, name)), [], name);
  assert.ok(isStatic(join(parts, 'blcr-keeper')));
});

test('it is blcr_wrapper with its subcommands, and blcr when it is called so', { skip: NO_BUILD }, async (context) => {
  const bench = new JobBench(context);
  const wrapper = await runSingle(bench, 'one', ['--version']);
  assert.deepEqual([wrapper.code, wrapper.stdout, wrapper.stderr], [0, `${version}\n`, '']);
  const classic = await runSingle(bench, 'one', ['host', 'port', '60', 'id', '/bin/true']);
  assert.equal(classic.code, 64);
  assert.match(classic.stderr, /^blcr_wrapper: chirp port: 'port' is not a port/);
  const listed = await runSingle(bench, 'one', ['ls', '--store', bench.store]);
  assert.deepEqual([listed.code, listed.stderr], [0, '']);
  symlinkSync('blcr_wrapper', join(bench.directory, 'one/blcr'));
  const unknown = await runSingle(bench, 'one', ['host', '9094', '60', 'id', '/bin/true'], { executable: 'blcr' });
  assert.match(unknown.stderr, /^blcr: 'host' is no command/);
});

test('a submit file that it writes names it', { skip: NO_BUILD }, async (context) => {
  const bench = new JobBench(context);
  const args = ['submit', '--store', 'chirp://h/p', '--insecure', '--', '/bin/true'];
  const { stdout, stderr } = await runSingle(bench, 'one', args);
  const executable = /^executable\s*=\s*(.*)$/m.exec(stdout)?.[1];
  assert.equal(executable, join(realpathSync(bench.directory), 'one/blcr_wrapper'), stderr);
});

/** Mounts under which no directory that the launcher knows of may hold programs; the executable itself is at /mnt/w then. */
const NOEXEC = [
  'mount -t tmpfs -o mode=755 tmpfs /mnt',
  `cp '${SINGLE}' /mnt/w`,
  'mount --bind /tmp /tmp',
  'mount -o remount,bind,noexec /tmp',
].join(' && ');

test('where nothing may be executed from directories it unpacks to memory', { skip: NO_MOUNTS }, async (context) => {
  const bench = new JobBench(context);
  const options = { executable: '/mnt/w', mounts: NOEXEC, env: { TMPDIR: '/tmp', _CONDOR_SCRATCH_DIR: '/nowhere' } };
  const { code, stdout, stderr } = await runSingle(bench, 'one', ['--version'], options);
  assert.deepEqual([code, stdout, stderr], [0, `${version}\n`, '']);
});

test('where there is no room it says which places it has tried', { skip: NO_MOUNTS }, async (context) => {
  const bench = new JobBench(context);
  // A limit on the size of files is the one that memory has too.
  const options = {
    prefix: ['prlimit', '--fsize=1000000'],
    env: { _CONDOR_SCRATCH_DIR: '/nowhere', TMPDIR: bench.directory },
  };
  const { code, stderr } = await runSingle(bench, 'one', ['--version'], options);
  assert.equal(code, 75, stderr);
  assert.match(
    stderr,
    /^blcr_wrapper: nowhere on this node can a program be unpacked and executed:\n {2}\/nowhere: .*No such file/,
  );
  assert.match(stderr, /\n {2}memory .*File too large\n {2}do: {3}set TMPDIR .*\n {2}code: ERR_WRAPPER_NO_PLACE\n$/);
});

test('a node whose C library is too old is named, with what it lacks', { skip: NO_MOUNTS }, async (context) => {
  const bench = new JobBench(context);
  const library = '/lib/x86_64-linux-gnu/libc.so.6';
  if (!existsSync(library)) return context.skip(`${library} is not there`);
  const old = join(bench.directory, 'libc.so.6');
  // The name of the version, by which the loader compares, in a copy of the library.
  writeFileSync(old, readFileSync(library, 'latin1').replace('\0GLIBC_2.28\0', '\0GLIBC_2.xx\0'), 'latin1');
  const { code, stdout, stderr } = await runSingle(bench, 'one', ['--version'], {
    mounts: `mount --bind '${old}' '${library}'`,
    isRoot: true,
    isBare: true,
  });
  assert.deepEqual([code, stdout], [75, ''], stderr);
  assert.match(
    stderr,
    /^blcr_wrapper: this node cannot run Node\.js, which is inside this file: it lacks GLIBC_2\.28\n/,
  );
  assert.match(stderr, /\n {2}do: {3}run it on a node with glibc 2\.28 .*\n {2}code: ERR_WRAPPER_NODE\n$/);
});

test('a node without the GNU C library is named', { skip: NO_MOUNTS }, async (context) => {
  const bench = new JobBench(context);
  const { code, stderr } = await runSingle(bench, 'one', ['--version'], {
    mounts: 'mount -t tmpfs tmpfs "$(dirname "$(readlink -f /lib64/ld-linux-x86-64.so.2)")"',
    isRoot: true,
    isBare: true,
  });
  assert.equal(code, 75, stderr);
  assert.match(stderr, /it has no \/lib64\/ld-linux-x86-64\.so\.2/);
});

test('a file that was cut or damaged on its way is refused', { skip: NO_BUILD }, async (context) => {
  const bench = new JobBench(context);
  const cwd = bench.makeDirectory('one');
  for (const [name, damage] of [
    ['cut', (path: string) => truncateSync(path, statSync(path).size - 1000)],
    ['changed', (path: string) => changeByte(path, Math.floor(statSync(path).size / 2))],
  ] as const) {
    copyFileSync(SINGLE, join(cwd, name));
    damage(join(cwd, name));
    const { code, stderr } = await runSingle(bench, 'one', ['--version'], { executable: name });
    assert.equal(code, 75, stderr);
    assert.match(
      stderr,
      /^blcr_wrapper: this file is damaged.*\n {2}do: {3}transfer the file again.*\n {2}code: ERR_WRAPPER_DAMAGED\n$/,
    );
  }
});

function changeByte(path: string, at: number): void {
  const content = readFileSync(path);
  content[at] = (content[at] ?? 0) ^ 0x55;
  writeFileSync(path, content);
}
