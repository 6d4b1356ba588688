/** A store in a directory of the job's: it would hold itself with every checkpoint, and be put back with the job's files. */

import { realpath } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { UsageError } from '../errors.ts';
import { relativeBelow } from './scratch-owner.ts';

/**
 * @param url The store's address.
 * @param root The job's scratch directory.
 * @returns the store's directory as a path below `root` (whatever links lead there), undefined when it is elsewhere.
 * @throws {UsageError} `ERR_USAGE` when the directory itself is the store: its objects and the job's files cannot be told apart.
 */
export async function storeBelow(url: string, root: string): Promise<string | undefined> {
  if (!url.startsWith('file:')) return undefined;
  const directory = fileURLToPath(url);
  const path = relativeBelow(await resolved(root), await resolved(directory));
  if (path === '') {
    const wish = `give the store one of its own, such as file://${join(root, 'checkpoints')}`;
    throw new UsageError(`store: ${directory} is the directory of the job's files; ${wish}`);
  }
  return path === undefined ? undefined : join(root, path);
}

/** The last component need not exist yet. */
async function resolved(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch {
    return join(await realpath(dirname(path)).catch(() => dirname(path)), basename(path));
  }
}
