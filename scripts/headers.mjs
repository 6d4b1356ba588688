/**
 * Where Node's own headers are. node-gyp and cmake-js download them when they are not told; a build must not need a network.
 */
import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';

const MARKERS = ['include/node/node_api.h', 'src/node_api.h'];

/** Directories that may hold `include/node/node_api.h` (or a Node source tree), most explicit first. */
function candidates() {
  const configured = process.env.npm_config_nodedir;
  return [
    ...(configured ? [resolve(configured)] : []),
    resolve(dirname(process.execPath), '..'),
    resolve(process.config.variables.node_prefix ?? '/usr'),
  ];
}

/**
 * Finds the directory to pass as `--nodedir`.
 * @returns {string} an absolute path
 * @throws {Error} naming every path looked at and what to install
 */
export function findNodeDirectory() {
  const directories = [...new Set(candidates())];
  const found = directories.find((directory) => MARKERS.some((marker) => existsSync(join(directory, marker))));
  if (found !== undefined) return found;
  throw new Error(
    `the headers of Node ${process.version} were not found (looked for include/node/node_api.h below ${directories.join(', ')}). ` +
      'Install the package that carries them (Debian: libnode-dev for its own nodejs; the NodeSource nodejs package and the nodejs.org archives include them), ' +
      'or set npm_config_nodedir to a directory that has include/node/node_api.h.',
  );
}
