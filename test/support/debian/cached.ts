/** What is unpacked once and kept. */

import { existsSync } from 'node:fs';
import { mkdtemp, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { cacheDirectories, isWritable, PackagesUnavailable } from './packages.ts';

/**
 * The directory `name` below .cache/ of this checkout or of the user; when it is not there, `fill` makes its content. It is there as a whole
 * or not at all, whoever else makes it at the same time.
 * @throws {PackagesUnavailable} when no such directory can be made; whatever `fill` throws.
 */
export async function obtainCached(name: string, fill: (directory: string) => Promise<void>): Promise<string> {
  const candidates = cacheDirectories().map((directory) => join(directory, name));
  const ready = candidates.find((path) => existsSync(path));
  if (ready !== undefined) return ready;
  const prefix = candidates.find((path) => isWritable(join(path, '..')));
  if (prefix === undefined) throw new PackagesUnavailable('no cache directory can be written');
  const made = await mkdtemp(`${prefix}.`);
  try {
    await fill(made);
    if (!existsSync(prefix)) await rename(made, prefix);
  } finally {
    await rm(made, { recursive: true, force: true });
  }
  return prefix;
}
