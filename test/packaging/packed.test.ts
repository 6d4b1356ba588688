/** `npm pack`, installed in an empty directory without a compiler. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, lstatSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { buildScriptedLibrary } from '../native/scripted.ts';
import {
  type Consumer,
  compile,
  installedFiles,
  installInto,
  packDependencies,
  packPackage,
  pathWithoutCompiler,
} from './packed.ts';
import { isStatic, tooNewSymbols } from './symbols.ts';

const work = mkdtempSync(join(tmpdir(), 'blcr-pack-'));
chmodSync(work, 0o755);
after(() => rmSync(work, { recursive: true, force: true }));

let plain: Consumer;
let withoutScripts: Consumer;

before(() => {
  const tarball = packPackage(work);
  const dependencies = packDependencies(work);
  const path = pathWithoutCompiler(work);
  plain = installInto(join(work, 'plain'), tarball, dependencies, [], path);
  withoutScripts = installInto(join(work, 'noscripts'), tarball, dependencies, ['--ignore-scripts'], path);
});

const DESCRIBE = `
  const { openProvider } = await import('node-blcr');
  const { info, reasons } = openProvider();
  console.log(JSON.stringify({ info, reasons }));
`;

test('the package holds what it needs and no sources of tests', () => {
  const files = installedFiles(plain);
  for (const name of ['node_blcr.node', 'libcr.so.0', 'blcr-keeper', 'blcr-start', 'blcr-hold.so']) {
    const path = `prebuilds/${process.platform}-${process.arch}/${name}`;
    assert.ok(files.includes(path), path);
    assert.ok(
      lstatSync(join(plain.directory, 'node_modules/node-blcr', path)).isFile(),
      `${path} is a file, not a link`,
    );
  }
  for (const name of [
    'dist/index.js',
    'dist/index.d.ts',
    'dist/cli/main.js',
    'dist/cli/package.json',
    'dist/cli/read-worker.js',
    'dist/cli/write-worker.js',
    'scripts/install.mjs',
    'scripts/tools.mjs',
    'binding.gyp',
    'native/CMakeLists.txt',
    'LICENSE',
  ]) {
    assert.ok(files.includes(name), name);
  }
  assert.deepEqual(
    files.filter((name) => /^(test|lib|bench|build|node_modules)\b|^native\/test/.test(name)),
    [],
  );
});

test('the bundled library is found and usable, with and without install scripts', () => {
  for (const consumer of [plain, withoutScripts]) {
    const { status, stdout, stderr } = consumer.run(DESCRIBE);
    assert.equal(status, 0, stderr);
    const { info, reasons } = JSON.parse(stdout) as {
      info: { kind: string; path: string; keeper: string };
      reasons: string[];
    };
    assert.equal(info.kind, 'userspace');
    assert.match(info.path, /node_modules\/node-blcr\/prebuilds\/.*libcr\.so\.0$/);
    assert.match(info.keeper, /prebuilds\/.*blcr-keeper$/);
    assert.match(reasons.at(-1) ?? '', /in use/);
  }
});

test('the prebuilt binaries load on any node that Node.js runs on', () => {
  const prebuilt = join(plain.directory, 'node_modules/node-blcr/prebuilds', `${process.platform}-${process.arch}`);
  for (const name of ['node_blcr.node', 'libcr.so.0', 'blcr-hold.so'])
    assert.deepEqual(tooNewSymbols(join(prebuilt, name)), [], name);
  for (const name of ['blcr-keeper', 'blcr-start']) assert.ok(isStatic(join(prebuilt, name)), name);
});

test('npm’s links to the commands go through the starter, which holds signals', () => {
  for (const name of ['blcr', 'blcr_wrapper']) {
    const { status, stdout, stderr } = plain.command(name, ['--version']);
    assert.deepEqual([status, stdout], [0, '0.1.0\n'], stderr);
    const without = plain.command(name, ['--version'], { PATH: '/nowhere' });
    assert.deepEqual([without.status, without.stdout], [75, '']);
    assert.match(without.stderr, /^blcr: node cannot be run .*PATH is \/nowhere\n.*\n {2}code: ERR_JOB_NODE\n$/);
  }
});

test('the commands are programs for node as well', () => {
  for (const name of ['blcr', 'blcr_wrapper']) {
    const command = join(plain.directory, 'node_modules/.bin', name);
    const { status, stdout, stderr } = spawnSync(process.execPath, [command, '--version'], { encoding: 'utf8' });
    assert.deepEqual([status, stdout], [0, '0.1.0\n'], stderr);
  }
});

test('blcr submit does not take npm’s link for a file that can travel with a job', () => {
  const env = { PATH: `${join(plain.directory, 'node_modules/.bin')}:${process.env['PATH']}` };
  const args = ['submit', '--store', 'chirp://host/', '--insecure', '--', '/bin/true'];
  const { status, stdout, stderr } = plain.command('blcr', args, env);
  assert.deepEqual([status, stdout], [64, ''], stderr);
  assert.match(stderr, /no blcr_wrapper was found that can travel/);
});

test('an ordinary user can use the installation, the keeper included', () => {
  const isRoot = process.getuid?.() === 0;
  const wrapper = isRoot ? ['/usr/bin/setpriv', '--reuid', '1000', '--regid', '1000', '--clear-groups'] : [];
  const program = `
    import { execFileSync } from 'node:child_process';
    const { openProvider } = await import('node-blcr');
    process.stdout.write(execFileSync(openProvider().info.keeper, ['probe']));
  `;
  const { status, stdout, stderr } = plain.run(program, {}, wrapper);
  assert.equal(status, 0, stderr);
  const { ok, reason } = JSON.parse(stdout) as { ok: boolean; reason: string };
  assert.ok(ok || reason !== '', 'the probe restarts a program, or says why this host cannot');
});

test('a named library is used instead', () => {
  const { status, stdout, stderr } = plain.run(DESCRIBE, { NODE_BLCR_LIBCR: buildScriptedLibrary() });
  assert.equal(status, 0, stderr);
  assert.equal((JSON.parse(stdout) as { info: { kind: string } }).info.kind, 'blcr');
});

test('CommonJS programs can use it, and the sub-paths', () => {
  const program = `
    import { createRequire } from 'node:module';
    const require = createRequire(process.cwd() + '/x.js');
    const { isBlcrError, requestCheckpoint } = require('node-blcr');
    const chirp = await import('node-blcr/chirp');
    const store = await import('node-blcr/store');
    console.log(typeof isBlcrError, typeof requestCheckpoint, Object.keys(chirp).length > 0, Object.keys(store).length > 0);
  `;
  const { stdout, stderr } = plain.run(program);
  assert.equal(stdout.trim(), 'function function true true', stderr);
});

test('TypeScript programs, ES modules and CommonJS, see the types of the package and of its sub-paths', () => {
  const program = `
    import { ChirpClient, isBlcrError, Job, type JobEnd, openStore, requestCheckpoint } from 'node-blcr';
    import { type AuthMethod, ChirpPool } from 'node-blcr/chirp';
    import { type Store, openStore as openStoreAlone } from 'node-blcr/store';
    export async function main(method: AuthMethod): Promise<number> {
      await using job = await Job.open({ id: 'x', store: 'file:///x', command: './x', args: ['y'], every: '60m', keep: 2 });
      job.on('checkpoint', ({ sequence, stopUs, storedBytes }) => void [sequence + stopUs + storedBytes]);
      job.on('warning', ({ code, consequence }) => void [code.length, consequence.length]);
      const controller = new AbortController();
      await job.checkpoint({ signal: controller.signal });
      await job.vacate({ deadlineMs: 1000 });
      const { reason, exitCode, signal }: JobEnd = await job.done;
      await using store: Store = await openStoreAlone('file:///x');
      await using pool = new ChirpPool({ host: 'localhost', auth: [method] }, 2);
      // @ts-expect-error: an end is not undone
      const isWrong: 'restarted' = reason;
      void [store, pool, isWrong, signal, ChirpClient, isBlcrError, openStore, requestCheckpoint];
      return exitCode ?? 1;
    }
  `;
  assert.equal(compile(plain, { 'program.mts': program, 'program.cts': program }), '');
});

test('on a platform without engine it imports, and fails with a code only when it is used', () => {
  const program = `
    Object.defineProperty(process, 'platform', { value: 'darwin' });
    const blcr = await import('node-blcr');
    await import('node-blcr/chirp');
    try { blcr.openProvider(); } catch (error) { console.log(blcr.isBlcrError(error), error.code, error.name); }
    try { await blcr.requestCheckpoint({ target: 1, to: 1 }); } catch (error) { console.log(error.code); }
  `;
  const { stdout, stderr } = plain.run(program);
  assert.equal(stdout.trim(), 'true ERR_NATIVE_LOAD NativeLoadError\nERR_NATIVE_LOAD', stderr);
});

test('without binaries and without a compiler the installation succeeds and says one sentence', () => {
  const script = `
    import { rmSync } from 'node:fs';
    import { spawnSync } from 'node:child_process';
    const root = process.cwd() + '/node_modules/node-blcr';
    rmSync(root + '/prebuilds', { recursive: true });
    const { status, stderr } = spawnSync(process.execPath, [root + '/scripts/install.mjs'], { encoding: 'utf8' });
    console.log(status, stderr.trim().split('\\n').length, stderr.includes('c++'));
    const blcr = await import('node-blcr');
    try { blcr.openProvider(); } catch (error) { console.log(error.code, error.tried.length); }
  `;
  const { stdout, stderr } = withoutScripts.run(script);
  assert.equal(stdout.trim(), '0 1 true\nERR_NATIVE_LOAD 3', stderr);
  const listed = withoutScripts.command('blcr', ['ls', '--store', `file://${work}`]);
  assert.equal(listed.status, 0, listed.stderr);
});
