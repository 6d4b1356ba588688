/**
 * Lays stored files out below a directory. The list comes from a store and is not trusted: no entry may reach outside, neither by its name nor
 * through a symbolic link on the way.
 */
import { chmod, link, lstat, lutimes, mkdir, rename, rm, symlink, unlink, utimes } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { StoredFile } from './manifest.ts';
import { randomName } from './names.ts';
import { isSafePath } from './records.ts';
import { badFile } from './store-error.ts';
import type { FileEntry } from './types.ts';

/** Writes a recipe's content into a new file. */
export type CopyToFile = (recipe: Uint8Array, path: string) => Promise<void>;

/**
 * Directories first, then files, then links, so that nothing is written through a link; times and modes of directories last.
 * What has an entry's name is replaced by it; nothing else is touched.
 */
export async function extractFiles(
  files: readonly StoredFile[],
  directory: string,
  copy: CopyToFile,
  signal: AbortSignal | undefined,
): Promise<void> {
  const sorted = files.toSorted((a, b) => compare(a.entry.path, b.entry.path));
  checkPaths(sorted.map(({ entry }) => entry));
  for (const { entry } of sorted) {
    if (entry.kind === 'directory') await makeDirectory(directory, entry.path);
  }
  const byInode = new Map<number, string>();
  for (const { entry, recipe } of sorted) {
    signal?.throwIfAborted();
    if (entry.kind === 'file') await makeFile(directory, entry, byInode, (path) => copy(recipe, path));
  }
  for (const { entry } of sorted) if (entry.kind === 'symlink') await makeSymlink(directory, entry);
  for (const { entry } of sorted.toReversed()) {
    if (entry.kind === 'directory') await setAttributes(join(directory, entry.path), entry);
  }
}

/** Every path leads down, once, and only directories have something below them. */
function checkPaths(entries: readonly FileEntry[]): void {
  const kinds = new Map<string, FileEntry['kind']>();
  for (const { path, kind } of entries) {
    if (!isSafePath(path)) throw badFile(path, 'it leads out of the directory');
    if (kinds.has(path)) throw badFile(path, 'it is listed twice');
    kinds.set(path, kind);
  }
  for (const path of kinds.keys()) {
    for (let end = path.lastIndexOf('/'); end > 0; end = path.lastIndexOf('/', end - 1)) {
      const above = kinds.get(path.slice(0, end));
      if (above !== undefined && above !== 'directory')
        throw badFile(path, 'it lies below something that is no directory');
    }
  }
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Makes a directory and what is missing above it; a link or file in its place makes way. */
async function makeDirectory(root: string, path: string): Promise<void> {
  const parts = path.split('/');
  for (let depth = 1; depth <= parts.length; depth++) {
    const at = join(root, ...parts.slice(0, depth));
    const present = await lstat(at).catch(() => undefined);
    if (present?.isDirectory()) continue;
    if (present !== undefined) await unlink(at);
    await mkdir(at, { mode: 0o700 });
  }
}

async function makeFile(
  root: string,
  entry: FileEntry,
  byInode: Map<number, string>,
  write: (path: string) => Promise<void>,
): Promise<void> {
  const target = join(root, entry.path);
  await makeParent(root, entry.path);
  const temporary = join(dirname(target), randomName('tmp'));
  const other = entry.inode === 0 ? undefined : byInode.get(entry.inode);
  try {
    if (other === undefined) {
      await write(temporary);
      await setAttributes(temporary, entry);
    } else await link(other, temporary);
    await makeWay(target);
    await rename(temporary, target);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  if (entry.inode !== 0) byInode.set(entry.inode, target);
}

async function makeSymlink(root: string, entry: FileEntry): Promise<void> {
  const target = join(root, entry.path);
  await makeParent(root, entry.path);
  await makeWay(target);
  await rm(target, { force: true });
  await symlink(entry.linkTarget ?? '', target);
  const seconds = Number(entry.mtimeNs) / 1e9;
  await lutimes(target, seconds, seconds);
}

async function makeParent(root: string, path: string): Promise<void> {
  const parent = path.slice(0, Math.max(0, path.lastIndexOf('/')));
  if (parent !== '') await makeDirectory(root, parent);
}

/** A directory where a file or link belongs cannot be replaced by a rename. */
async function makeWay(target: string): Promise<void> {
  const present = await lstat(target).catch(() => undefined);
  if (present?.isDirectory()) await rm(target, { recursive: true });
}

async function setAttributes(path: string, entry: FileEntry): Promise<void> {
  // No set-user-ID from a store: laid out by root, such a file would be a way in.
  await chmod(path, entry.mode & 0o1777);
  const seconds = Number(entry.mtimeNs) / 1e9;
  await utimes(path, seconds, seconds);
}
