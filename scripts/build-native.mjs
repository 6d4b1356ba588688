/**
 * Builds native/ (libcr.so.0, blcr-keeper, the cr_* tools, tests) into build/native. Incremental.
 * Usage: build-native.mjs [--sanitize]      --sanitize: AddressSanitizer + UBSan, into build/native-asan
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { findNodeDirectory } from './headers.mjs';
import { isInstalled, packageFile, root, run, withBuildLock } from './tools.mjs';

const JOBS = '2';
const source = join(root, 'native');

function buildWithCmakeJs(cmakeJs, directory, definitions) {
  const options = ['-d', source, '-O', directory, '--parallel', JOBS, '--log-level', 'warn'];
  const settings = definitions.map(([key, value]) => `--CD${key}=${value}`);
  const env = { ...process.env, npm_config_nodedir: findNodeDirectory() };
  // `build` configures only when there is no cache, and a configuration that failed leaves one behind.
  const isConfigured = ['Makefile', 'build.ninja'].some((file) => existsSync(join(directory, file)));
  for (const command of isConfigured ? ['build'] : ['configure', 'build']) {
    run(process.execPath, [cmakeJs, command, ...options, ...settings], { env });
  }
}

/** For an installation from source, where no development dependency exists. */
function buildWithCmake(directory, definitions) {
  const settings = definitions.map(([key, value]) => `-D${key}=${value}`);
  run('cmake', ['-S', source, '-B', directory, '-DBLCR_TESTS=OFF', ...settings]);
  run('cmake', ['--build', directory, '--parallel', JOBS]);
}

function main() {
  if (process.platform !== 'linux') {
    process.stdout.write('node-blcr: the native library exists for Linux only, nothing to build\n');
    return;
  }
  if (!isInstalled('cmake'))
    throw new Error('cmake is needed to build the native library (Debian: apt-get install cmake g++)');
  const isSanitized = process.argv.includes('--sanitize');
  const directory = join(root, 'build', isSanitized ? 'native-asan' : 'native');
  const definitions = [
    ['CMAKE_BUILD_TYPE', 'Release'],
    ['BLCR_SANITIZE', isSanitized ? 'ON' : 'OFF'],
  ];
  const cmakeJs = packageFile('cmake-js', 'bin/cmake-js');
  if (cmakeJs === undefined) buildWithCmake(directory, definitions);
  else buildWithCmakeJs(cmakeJs, directory, definitions);
}

withBuildLock(process.argv.includes('--sanitize') ? 'native_asan' : 'native', main);
