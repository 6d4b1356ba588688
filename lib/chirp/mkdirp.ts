/** Directories with their ancestors; the protocol makes one at a time. */

import { ChirpConnectionError, ChirpError } from '../errors.ts';
import type { ChirpPath, ChirpStat, RequestOptions } from './types.ts';
import { RESULT, resultError } from './wire/codes.ts';
import { displayPath, parentOf, pathBytes, trimSlashes } from './wire/path.ts';

interface Directories {
  stat(path: ChirpPath, options?: RequestOptions): Promise<ChirpStat>;
  mkdir(path: ChirpPath, mode: number, options?: RequestOptions): Promise<void>;
}

export async function makeDirectories(
  client: Directories,
  path: ChirpPath,
  mode: number,
  options?: RequestOptions,
): Promise<void> {
  const wanted = trimSlashes(pathBytes(path));
  const missing: Buffer[] = [];
  // From the end upwards: most of the path exists as a rule, and rights may begin only somewhere inside it.
  for (let current = wanted; !(await isDirectory(client, current, options)); current = parentOf(current)) {
    missing.push(current);
    if (current.equals(parentOf(current))) break;
  }
  for (const directory of missing.reverse()) await makeOne(client, directory, mode, options);
}

async function makeOne(client: Directories, path: Buffer, mode: number, options?: RequestOptions): Promise<void> {
  try {
    await client.mkdir(path, mode, options);
  } catch (error) {
    // Somebody made it at the same moment, or we did on a connection that was lost before the answer.
    const mayExist =
      error instanceof ChirpConnectionError || (error instanceof ChirpError && error.result === RESULT.exists);
    options?.signal?.throwIfAborted();
    if (!mayExist || !(await isDirectory(client, path, options))) throw error;
  }
}

/** False when it does not exist. Without rights on the parent the server does not tell missing from forbidden: then mkdir will say it. */
async function isDirectory(client: Directories, path: Buffer, options?: RequestOptions): Promise<boolean> {
  try {
    const { type } = await client.stat(path, options);
    if (type === 'directory') return true;
  } catch (error) {
    if (error instanceof ChirpError && (error.result === RESULT.missing || error.result === RESULT.notAuthorized))
      return false;
    throw error;
  }
  throw resultError('mkdir', RESULT.notDirectory, displayPath(path));
}
