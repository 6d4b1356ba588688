/** Directories with their ancestors; the protocol makes one at a time. */

import { setTimeout as delay } from 'node:timers/promises';
import { ChirpConnectionError, ChirpError } from '../errors.ts';
import type { ChirpPath, ChirpStat, RequestOptions } from './types.ts';
import { RESULT, resultError } from './wire/codes.ts';
import { displayPath, parentOf, pathBytes, trimSlashes } from './wire/path.ts';

interface Directories {
  stat(path: ChirpPath, options?: RequestOptions): Promise<ChirpStat>;
  mkdir(path: ChirpPath, mode: number, options?: RequestOptions): Promise<void>;
}

/** The server makes a directory first and its access list a moment later; in between whoever looks is told "not authorized". */
const LOOKS = 100;
const LOOK_AGAIN_MS = 20;

export async function makeDirectories(
  client: Directories,
  path: ChirpPath,
  mode: number,
  options?: RequestOptions,
): Promise<void> {
  const wanted = trimSlashes(pathBytes(path));
  const missing: Buffer[] = [];
  // From the end upwards: most of the path exists as a rule, and rights may begin only somewhere inside it.
  // The server's top exists, seen or not: who has no right there but v may still make directories in it.
  for (let current = wanted; !(await isDirectory(client, current, options)); current = parentOf(current)) {
    if (current.equals(parentOf(current))) break;
    missing.push(current);
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
    if (!mayExist) throw error;
    await waitForDirectory(client, path, error, options);
  }
}

async function waitForDirectory(
  client: Directories,
  path: Buffer,
  refusal: Error,
  options?: RequestOptions,
): Promise<void> {
  for (let look = 1; ; look++) {
    const found = await examine(client, path, options);
    if (found === 'directory') return;
    if (found === 'missing') throw refusal;
    if (look === LOOKS) throw resultError('mkdir', RESULT.notAuthorized, displayPath(path));
    await delay(LOOK_AGAIN_MS, undefined, options?.signal === undefined ? {} : { signal: options.signal });
  }
}

/** False when it does not exist. Without rights on the parent the server does not tell missing from forbidden: then mkdir will say it. */
async function isDirectory(client: Directories, path: Buffer, options?: RequestOptions): Promise<boolean> {
  return (await examine(client, path, options)) === 'directory';
}

async function examine(
  client: Directories,
  path: Buffer,
  options?: RequestOptions,
): Promise<'directory' | 'missing' | 'forbidden'> {
  try {
    const { type } = await client.stat(path, options);
    if (type === 'directory') return 'directory';
  } catch (error) {
    if (error instanceof ChirpError && error.result === RESULT.missing) return 'missing';
    if (error instanceof ChirpError && error.result === RESULT.notAuthorized) return 'forbidden';
    throw error;
  }
  throw resultError('mkdir', RESULT.notDirectory, displayPath(path));
}
