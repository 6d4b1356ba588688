/**
 * Builds build/Release/node_blcr.node with node-gyp. Quick when nothing changed.
 * Usage: build-addon.mjs [--force]
 */
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { findNodeDirectory } from './headers.mjs';
import { packageFile, root, run, withBuildLock } from './tools.mjs';

const output = join(root, 'build', 'Release', 'node_blcr.node');

function inputs() {
  const files = ['native/addon', 'native/compat', 'native/digest', 'native/include'].flatMap((directory) =>
    readdirSync(join(root, directory)).map((name) => join(root, directory, name)),
  );
  return [...files, join(root, 'binding.gyp')];
}

function isCurrent() {
  if (!existsSync(output)) return false;
  const built = statSync(output).mtimeMs;
  return inputs().every((file) => statSync(file).mtimeMs < built);
}

/** npm tells its own node-gyp to install scripts; the pinned one comes first. */
function nodeGyp() {
  const found = packageFile('node-gyp', 'bin/node-gyp.js') ?? process.env.npm_config_node_gyp;
  if (found === undefined) throw new Error('node-gyp is not installed: run npm ci first');
  return found;
}

function main() {
  if (process.platform !== 'linux') {
    process.stdout.write('node-blcr: the addon exists for Linux only, nothing to build\n');
    return;
  }
  if (!process.argv.includes('--force') && isCurrent()) return;
  // configure + build, never rebuild: that would delete the whole of build/, the native library in it included.
  run(process.execPath, [
    nodeGyp(),
    'configure',
    'build',
    `--nodedir=${findNodeDirectory()}`,
    '--jobs=2',
    '--loglevel=warn',
  ]);
}

withBuildLock('addon', main);
