/**
 * A directory as storage, also on NFS: temporary files are created with O_EXCL, files and directories are synced, and every change that others
 * can see is one rename. Nothing is locked.
 */
import { constants } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, rename, rm, stat, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { StoreError } from '../errors.ts';
import type { Driver, DriverOptions, Entry, PutOptions } from './driver.ts';
import { randomName } from './names.ts';
import { badUrl, corrupt, denied, failed, full, notFound, occupied, unreachable } from './store-error.ts';

/** Small enough that an abort is noticed soon, large enough for full speed. */
const SLICE = 4 * 1024 * 1024;

/** Errors of file systems as the store's. NFS: a server that is gone shows as EIO, ESTALE or ETIMEDOUT; ESTALE also says the file is gone. */
const CODES: Readonly<Record<string, (what: string, cause: { path: string; cause: unknown }) => StoreError>> = {
  ENOENT: notFound,
  ENOTDIR: notFound,
  EACCES: denied,
  EPERM: denied,
  EROFS: denied,
  ENOSPC: full,
  EDQUOT: full,
  EEXIST: occupied,
  ENOTEMPTY: occupied,
  EIO: unreachable,
  ETIMEDOUT: unreachable,
  ESTALE: unreachable,
  EHOSTDOWN: unreachable,
  ENOTCONN: unreachable,
};

function errnoOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}

export class DirectoryDriver implements Driver {
  readonly url: string;
  readonly isLocal = true;
  readonly #root: string;

  /** @param url `file:///directory`. @throws {StoreError} ERR_STORE_URL. */
  constructor(url: string) {
    this.url = url;
    try {
      this.#root = fileURLToPath(url);
    } catch (cause) {
      throw badUrl(url, cause instanceof Error ? cause.message : String(cause));
    }
  }

  /** The directory itself is made, its parents are not: a mistyped or unmounted path should be noticed. */
  async prepare(): Promise<void> {
    await this.#guard('', () => mkdir(this.#root, { mode: 0o700 }), ['EEXIST', 'EROFS']);
    await this.#guard('', () => readdir(this.#root));
  }

  async put(path: string, data: Uint8Array, options: PutOptions = {}): Promise<void> {
    const target = this.#at(path);
    const temporary = join(dirname(target), randomName('tmp'));
    options.signal?.throwIfAborted();
    await this.#guard(path, async () => {
      await writeNew(temporary, data, options);
      try {
        await rename(temporary, target);
      } catch (error) {
        // The directory may have moved (fencing): then there is nothing of ours to remove at the old path.
        await rm(temporary, { force: true }).catch(() => undefined);
        throw error;
      }
      await syncDirectory(dirname(target));
    });
  }

  async add(path: string, data: Uint8Array, options: PutOptions = {}): Promise<void> {
    options.signal?.throwIfAborted();
    await this.#guard(path, () => writeNew(this.#at(path), data, options));
  }

  async get(path: string, offset: number, length: number, { signal }: DriverOptions = {}): Promise<Uint8Array> {
    return await this.#guard(path, async () => {
      const file = await open(this.#at(path), constants.O_RDONLY | constants.O_NOFOLLOW);
      try {
        const data = Buffer.allocUnsafeSlow(length);
        for (let done = 0; done < length; ) {
          signal?.throwIfAborted();
          const { bytesRead } = await file.read(data, done, Math.min(SLICE, length - done), offset + done);
          if (bytesRead === 0) throw corrupt(path, `it ends at ${offset + done}, before ${offset + length}`);
          done += bytesRead;
        }
        return data;
      } finally {
        await file.close();
      }
    });
  }

  async stat(path: string): Promise<Entry | undefined> {
    try {
      return await this.#guard(path, async () => {
        const found = await stat(this.#at(path));
        const name = path.slice(path.lastIndexOf('/') + 1);
        return { name, isDirectory: found.isDirectory(), size: found.size, modified: found.mtimeMs };
      });
    } catch (error) {
      if (error instanceof StoreError && error.code === 'ERR_STORE_NOT_FOUND') return undefined;
      throw error;
    }
  }

  async list(path: string): Promise<readonly Entry[] | undefined> {
    const names = await this.#guard(path, () => readdir(this.#at(path)), ['ENOENT']);
    if (names === undefined) return undefined;
    const entries = await Promise.all(names.map((name) => this.stat(path === '' ? name : `${path}/${name}`)));
    return entries.filter((entry) => entry !== undefined);
  }

  async rename(from: string, to: string): Promise<void> {
    await this.#guard(from, () => rename(this.#at(from), this.#at(to)));
    const parents = new Set([dirname(this.#at(from)), dirname(this.#at(to))]);
    for (const parent of parents) await this.#guard(to, () => syncDirectory(parent));
  }

  async mkdir(path: string): Promise<boolean> {
    const made = await this.#guard(path, async () => (await mkdir(this.#at(path), { mode: 0o700 })) ?? true, [
      'EEXIST',
    ]);
    if (made !== undefined) await this.#guard(path, () => syncDirectory(dirname(this.#at(path))));
    return made !== undefined;
  }

  async remove(path: string): Promise<boolean> {
    return (await this.#guard(path, async () => (await unlink(this.#at(path))) ?? true, ['ENOENT'])) !== undefined;
  }

  async removeTree(path: string): Promise<void> {
    await this.#guard(path, () => rm(this.#at(path), { recursive: true, force: true }));
  }

  async close(): Promise<void> {
    // Nothing is held open between operations.
  }

  #at(path: string): string {
    return path === '' ? this.#root : join(this.#root, path);
  }

  async #guard<T>(path: string, operation: () => Promise<T>): Promise<T>;
  async #guard<T>(path: string, operation: () => Promise<T>, ignored: readonly string[]): Promise<T | undefined>;
  async #guard<T>(path: string, operation: () => Promise<T>, ignored: readonly string[] = []): Promise<T | undefined> {
    try {
      return await operation();
    } catch (error) {
      const errno = errnoOf(error);
      if (ignored.includes(errno)) return undefined;
      if (error instanceof StoreError || !(error instanceof Error) || !('syscall' in error)) throw error;
      const make = CODES[errno] ?? failed;
      throw make(`${this.url}: ${path === '' ? 'root' : path} (${errno})`, { path, cause: error });
    }
  }
}

/** A file that did not exist, synced; after a failure there is none. */
async function writeNew(path: string, data: Uint8Array, options: PutOptions): Promise<void> {
  const file = await open(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600);
  try {
    await writeAll(file, data, options);
    await file.sync();
  } catch (error) {
    await file.close();
    await rm(path, { force: true });
    throw error;
  }
  await file.close();
}

async function writeAll(file: FileHandle, data: Uint8Array, options: PutOptions): Promise<void> {
  if (options.rate === undefined) return await writePiece(file, data, options);
  for await (const piece of options.rate.pace(data, options.signal)) await writePiece(file, piece, options);
}

async function writePiece(file: FileHandle, data: Uint8Array, { signal, onBytes }: PutOptions): Promise<void> {
  for (let done = 0; done < data.length; ) {
    signal?.throwIfAborted();
    const { bytesWritten } = await file.write(data, done, Math.min(SLICE, data.length - done));
    done += bytesWritten;
    onBytes?.(bytesWritten);
  }
}

/** Makes a rename or creation in the directory durable. File systems that cannot sync a directory say EINVAL. */
async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await directory.sync();
  } catch (error) {
    if (errnoOf(error) !== 'EINVAL') throw error;
  } finally {
    await directory.close();
  }
}
