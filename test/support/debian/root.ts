/** The userland of another release of Debian, as a directory to chroot into. */

import { obtainCached } from './cached.ts';
import { Release } from './packages.ts';

const PACKAGES = ['base-files', 'bash', 'coreutils', 'dash', 'sed'];
const LIMIT_MS = 120_000;

/**
 * Enough for a shell, unpacked (about ten seconds) when it is not there, below .cache/ of this checkout or of the user.
 * @throws {PackagesUnavailable} saying why there is none.
 */
export async function obtainRoot(suite: string): Promise<string> {
  return await obtainCached(`root-${suite}`, async (directory) => {
    await using release = await Release.open(suite, AbortSignal.timeout(LIMIT_MS));
    await release.unpack(await release.closure(PACKAGES), directory);
  });
}
