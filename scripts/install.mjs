/**
 * Runs when the package is installed. Prebuilt binaries or an own build: nothing to do. Otherwise builds from source when that is possible.
 * Never fails the installation: stores and the Chirp client work without native code, and its absence is reported at the first use.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { isInstalled, root, run } from './tools.mjs';

const PLATFORM = `${process.platform}-${process.arch}`;

/** Why nothing is built; empty: there is nothing to say. */
function reasonNotToBuild() {
  if (process.platform !== 'linux') return '';
  if (existsSync(join(root, 'lib'))) return ''; // a checkout: scripts/setup builds it
  const addons = [`prebuilds/${PLATFORM}/node_blcr.node`, 'build/Release/node_blcr.node'];
  if (addons.some((path) => existsSync(join(root, path)))) return '';
  const missing = ['c++', 'make', 'python3'].filter((program) => !isInstalled(program));
  if (missing.length > 0) {
    return `no prebuilt binaries for ${PLATFORM}, and ${missing.join(', ')} to build them is missing: checkpoint and restart will not work`;
  }
  return undefined;
}

function say(text) {
  process.stderr.write(`node-blcr: ${text}\n`);
}

const reason = reasonNotToBuild();
if (reason === undefined) {
  try {
    for (const script of ['build-addon.mjs', 'build-native.mjs'])
      run(process.execPath, [join(root, 'scripts', script)]);
  } catch (error) {
    say(`could not be built from source (${error.message}): checkpoint and restart will not work`);
  }
} else if (reason !== '') {
  say(reason);
}
