/**
 * Puts what a user of the published package needs without a compiler into prebuilds/<platform>-<arch>/: the addon (prebuildify, stripped),
 * libcr.so.0, blcr-keeper, and what starts Node (blcr-start, blcr-hold.so).
 * Usage: prebuild.mjs [--out DIRECTORY]      default: the package's root, where `npm pack` finds them
 */
import { chmodSync, copyFileSync, cpSync, mkdirSync, rmSync, symlinkSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { findNodeDirectory } from './headers.mjs';
import { packageFile, root, run, withBuildLock } from './tools.mjs';

const { values } = parseArgs({ options: { out: { type: 'string', default: root } } });
const target = join(resolve(values.out), 'prebuilds', `${process.platform}-${process.arch}`);

/** prebuildify runs `node-gyp rebuild`, which deletes build/: it gets a directory of its own, on the file system it will rename on. */
function prebuildAddon() {
  const stage = join(target, '..', `.stage-${process.pid}`);
  mkdirSync(join(stage, 'native'), { recursive: true });
  try {
    for (const name of [
      'binding.gyp',
      'package.json',
      'native/addon',
      'native/compat',
      'native/digest',
      'native/include',
    ]) {
      cpSync(join(root, name), join(stage, name), { recursive: true });
    }
    symlinkSync(join(root, 'node_modules'), join(stage, 'node_modules'));
    const options = ['--napi', '--strip', '--name', 'node_blcr', '--target', process.versions.node, '--cwd', stage];
    const env = {
      ...process.env,
      npm_config_nodedir: findNodeDirectory(),
      npm_config_jobs: '2',
      npm_config_loglevel: 'warn',
    };
    run(process.execPath, [packageFile('prebuildify', 'bin.js'), ...options, '--out', resolve(values.out)], { env });
  } finally {
    rmSync(stage, { recursive: true, force: true });
  }
}

/** Copies follow symbolic links: npm packs a link as nothing, and the library must carry its SONAME as its file name. */
function copyNative(name, stripOptions) {
  const file = join(target, name);
  copyFileSync(join(root, 'build', 'native', name), file);
  chmodSync(file, 0o755);
  run('strip', [...stripOptions, file]);
}

function main() {
  if (process.platform !== 'linux') throw new Error('prebuilt binaries exist for Linux only');
  run(process.execPath, [join(root, 'scripts', 'build-native.mjs')]);
  prebuildAddon();
  copyNative('libcr.so.0', ['--strip-unneeded']);
  copyNative('blcr-keeper', ['--strip-all']);
  copyNative('blcr-start', ['--strip-all']);
  copyNative('blcr-hold.so', ['--strip-unneeded']);
}

withBuildLock('prebuild', main);
