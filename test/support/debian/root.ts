/** The userland of another release of Debian, as a directory to chroot into. */

import { existsSync } from 'node:fs';
import { mkdtemp, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { cacheDirectories, isWritable, PackagesUnavailable, Release } from './packages.ts';

const PACKAGES = ['base-files', 'bash', 'coreutils', 'dash', 'sed'];
const LIMIT_MS = 120_000;

/**
 * Enough for a shell, unpacked (about ten seconds) when it is not there, below .cache/ of this checkout or of the user.
 * @throws {PackagesUnavailable} saying why there is none.
 */
export async function obtainRoot(suite: string): Promise<string> {
  const candidates = cacheDirectories().map((directory) => join(directory, `root-${suite}`));
  const ready = candidates.find((path) => existsSync(path));
  if (ready !== undefined) return ready;
  const prefix = candidates.find((path) => isWritable(join(path, '..')));
  if (prefix === undefined) throw new PackagesUnavailable('no cache directory can be written');
  const made = await mkdtemp(`${prefix}.`);
  try {
    await using release = await Release.open(suite, AbortSignal.timeout(LIMIT_MS));
    await release.unpack(await release.closure(PACKAGES), made);
    if (!existsSync(prefix)) await rename(made, prefix);
  } finally {
    await rm(made, { recursive: true, force: true });
  }
  return prefix;
}
