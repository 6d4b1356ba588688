/** Uploads. */

import { randomBytes } from 'node:crypto';
import { ChirpConnectionError, ChirpError } from '../../errors.ts';
import { putfile } from '../commands/transfer.ts';
import { connectionError } from '../connection-error.ts';
import { type ChirpFile, openFile } from '../file.ts';
import type { Link } from '../link.ts';
import type { ChirpPath, ChirpStat, ChirpStatfs, PutOptions, PutSource, RequestOptions } from '../types.ts';
import { RESULT, resultError } from '../wire/codes.ts';
import { displayPath, encodePath, type PathRules, parentOf } from '../wire/path.ts';
import { type Upload, uploadOf } from './source.ts';

/** From this size on the free space is asked for. */
const CHECK_SPACE_FROM = 1024 * 1024;
/** Milliseconds spent on removing what a failed upload may have left. */
const CLEAN_UP_MS = 5000;

interface Context {
  readonly link: Link;
  readonly rules: PathRules;
  readonly operations: {
    statfs(path: ChirpPath, options?: RequestOptions): Promise<ChirpStatfs>;
    statIfExists(path: ChirpPath, options?: RequestOptions): Promise<ChirpStat | undefined>;
    rename(from: ChirpPath, to: ChirpPath, options?: RequestOptions): Promise<void>;
    unlink(path: ChirpPath, options?: RequestOptions): Promise<void>;
  };
}

export async function put(context: Context, path: ChirpPath, source: PutSource, options: PutOptions): Promise<number> {
  // A name that cannot be used is refused before anything is touched.
  encodePath(path, context.rules);
  const upload = await uploadOf(source, options.size);
  const isAtomic = options.atomic ?? true;
  if (options.checkSpace ?? upload.size >= CHECK_SPACE_FROM)
    await checkSpace(context, path, upload.size, isAtomic, options);
  if (!isAtomic) {
    await send(context, path, () => path, upload, options);
    if (options.sync === true) await sync(context, path, options, upload.size);
    return upload.size;
  }
  return await putAtomically(context, path, upload, options);
}

async function putAtomically(context: Context, path: ChirpPath, upload: Upload, options: PutOptions): Promise<number> {
  const used: Buffer[] = [];
  // Every try gets a name of its own: the server removes a broken upload when it notices the break, which may be after the next try has begun.
  const nextName = (): Buffer => {
    const name = temporaryName(path);
    used.push(name);
    return name;
  };
  try {
    const temporary = await send(context, path, nextName, upload, options);
    if (options.sync === true) await sync(context, temporary, options, upload.size);
    await publish(context, temporary, path, upload.size, options);
    if (options.sync === true) await sync(context, parentOf(path), options);
    return upload.size;
  } catch (error) {
    await cleanUp(context, used);
    throw error;
  }
}

/** Short, so that it fits wherever the name itself fits (a part of a path has at most 255 bytes). */
function temporaryName(path: ChirpPath): Buffer {
  const parent = parentOf(path).toString('latin1').replace(/\/$/, '');
  return Buffer.from(`${parent}/.put-${randomBytes(8).toString('hex')}`, 'latin1');
}

/** Sends the body, again under the next name while that helps; gives the name under which it arrived. */
async function send<N extends ChirpPath>(
  context: Context,
  path: ChirpPath,
  name: () => N,
  upload: Upload,
  options: PutOptions,
): Promise<N> {
  const total = upload.size;
  const onSent = (bytes: number): void => options.onProgress?.({ bytes, total });
  return await context.link.perform(
    'putfile',
    async (connection, signal) => {
      const target = name();
      const source = upload.open();
      const mayRepeat = upload.isRepeatable && (options.atomic ?? true);
      const command = putfile(target, options.mode ?? 0o600, total, source, onSent, context.rules, displayPath(path));
      try {
        await connection.request({ ...command, idempotent: mayRepeat }, signal);
      } finally {
        await source.close();
      }
      return target;
    },
    options,
  );
}

/** statfs speaks for a directory. Where it is not allowed or not there, the upload itself will tell. */
async function checkSpace(
  context: Context,
  path: ChirpPath,
  size: number,
  isAtomic: boolean,
  options: PutOptions,
): Promise<void> {
  let free: number;
  try {
    const space = await context.operations.statfs(parentOf(path), options);
    free = space.bavail * space.bsize;
    // A file that is overwritten in place gives its own space back first.
    if (!isAtomic && free < size) free += ((await context.operations.statIfExists(path, options))?.blocks ?? 0) * 512;
  } catch (error) {
    if (error instanceof ChirpError) return;
    throw error;
  }
  if (free < size) throw resultError(`putfile of ${size} bytes with ${free} free:`, RESULT.noSpace, displayPath(path));
}

/** Renames; when the answer is lost, looks whether it happened. The temporary name is ours alone, so its absence proves it. */
async function publish(
  context: Context,
  temporary: Buffer,
  path: ChirpPath,
  size: number,
  options: PutOptions,
): Promise<void> {
  try {
    await context.operations.rename(temporary, path, options);
  } catch (error) {
    options.signal?.throwIfAborted();
    if (!(error instanceof ChirpConnectionError) || error.code === 'ERR_CHIRP_CLOSED') throw error;
    if ((await context.operations.statIfExists(temporary, options)) !== undefined) {
      await context.operations.rename(temporary, path, options);
    } else if ((await context.operations.statIfExists(path, options))?.size !== size) {
      throw error;
    }
  }
}

/** @param size What must be there: on a new connection this may be a server that has been started again, after its machine lost what was not synced. */
async function sync(context: Context, path: ChirpPath, options: RequestOptions, size?: number): Promise<void> {
  const file: ChirpFile = await openFile(context.link, path, 'r', 0, context.rules, options);
  try {
    if (size !== undefined && file.openedStat.size !== size) {
      const message = `chirp put: ${displayPath(path)} has ${file.openedStat.size} bytes after ${size} were stored`;
      throw connectionError(context.link, { code: 'ECONNRESET', message }, false);
    }
    await file.sync(options);
  } finally {
    await file.close();
  }
}

/** As far as the server can be reached: a refused or broken upload is removed by the server itself, a finished one and an empty one refused by a quota are not. */
async function cleanUp(context: Context, names: readonly Buffer[]): Promise<void> {
  for (const name of names) {
    try {
      await context.operations.unlink(name, { timeoutMs: CLEAN_UP_MS });
    } catch (error) {
      // Missing is what is wanted; if the server is out of reach, the first error is the one to report.
      if (!(error instanceof ChirpError)) return;
    }
  }
}
