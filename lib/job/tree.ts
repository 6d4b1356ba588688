/** The engine's list of a directory tree (crx.h, capture): kind, copied, mode, size, mtime, inode, path; one entry a line, tab separated. */

import type { BigIntStats } from 'node:fs';
import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { JobError } from '../errors.ts';

export interface TreeFile {
  readonly kind: 'file' | 'directory' | 'symlink';
  /** The engine copied it: it is new or changed against the baseline. */
  readonly copied: boolean;
  readonly mode: number;
  readonly size: number;
  /** Nanoseconds since 1970, decimal. */
  readonly mtimeNs: string;
  readonly inode: number;
  /** When its content or status last changed: no program can set it. Nanoseconds since 1970, decimal; the engine's lists do not have it. */
  readonly changedNs?: string;
  /** Relative to the root of the tree. */
  readonly path: string;
}

const LETTERS = { file: 'f', directory: 'd', symlink: 'l' } as const;
const KINDS: Readonly<Record<string, TreeFile['kind']>> = { f: 'file', d: 'directory', l: 'symlink' };

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Bytes up to blank, `%` and everything from 0x7f on are escaped. */
function encodePath(path: string): string {
  let encoded = '';
  for (const byte of Buffer.from(path)) {
    const isPlain = byte > 0x20 && byte < 0x7f && byte !== 0x25;
    encoded += isPlain ? String.fromCharCode(byte) : `%${byte.toString(16).padStart(2, '0')}`;
  }
  return encoded;
}

function decodePath(text: string): string {
  const bytes: number[] = [];
  for (let index = 0; index < text.length; index += 1) {
    if (text[index] === '%') {
      bytes.push(Number.parseInt(text.slice(index + 1, index + 3), 16));
      index += 2;
    } else bytes.push(text.charCodeAt(index));
  }
  try {
    return UTF8.decode(Buffer.from(bytes));
  } catch (cause) {
    throw new JobError(`The file name ${text} is not UTF-8; such files cannot be stored`, {
      code: 'ERR_JOB_INDEX',
      cause,
    });
  }
}

export function formatIndex(files: readonly TreeFile[]): string {
  return files
    .map(({ kind, copied, mode, size, mtimeNs, inode, path }) =>
      [LETTERS[kind], copied ? 1 : 0, mode.toString(8), size, mtimeNs, inode, `${encodePath(path)}\n`].join('\t'),
    )
    .join('');
}

/** What a capture starts from: the files of an earlier index, and the paths that it leaves out with everything below them. */
export const formatBaseline = (files: readonly TreeFile[], apart: readonly string[]): string =>
  formatIndex(files) + apart.map((path) => `x\t0\t0\t0\t0\t0\t${encodePath(path)}\n`).join('');

/** @throws {JobError} as `parseIndex`. */
export function parseBaseline(text: string): {
  readonly files: readonly TreeFile[];
  readonly apart: readonly string[];
} {
  const lines = text.split('\n');
  const apart = lines.filter((line) => line.startsWith('x\t')).map((line) => decodePath(line.split('\t')[6] ?? ''));
  return { files: parseIndex(lines.filter((line) => !line.startsWith('x\t')).join('\n')), apart };
}

/** @throws {JobError} `ERR_JOB_INDEX` for a line of another shape: better no checkpoint than one without its files. */
export function parseIndex(text: string): TreeFile[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const [letter = '', copied, mode = '', size, mtimeNs = '', inode, path] = line.split('\t');
      const kind = KINDS[letter];
      const isNumber = [copied, size, inode].every((field) => field !== undefined && /^\d+$/.test(field));
      if (kind === undefined || !isNumber || !/^[0-7]+$/.test(mode) || !/^-?\d+$/.test(mtimeNs) || path === undefined) {
        throw new JobError(`The list of captured files has a line of unknown shape: ${line}`, {
          code: 'ERR_JOB_INDEX',
        });
      }
      return {
        kind,
        copied: copied === '1',
        mode: Number.parseInt(mode, 8) & 0o7777,
        size: Number(size),
        mtimeNs,
        inode: Number(inode),
        path: decodePath(path),
      };
    });
}

/**
 * Lists a tree as the engine does, nothing being marked as copied. Entries that vanish meanwhile, and kinds without content, are left out.
 * @param apart Paths relative to the root that are left out, with everything below them.
 */
export async function walkTree(root: string, apart: readonly string[]): Promise<TreeFile[]> {
  const found: TreeFile[] = [];
  const queue = [''];
  for (let directory = queue.pop(); directory !== undefined; directory = queue.pop()) {
    for (const name of await listNames(join(root, directory))) {
      const path = directory === '' ? name : `${directory}/${name}`;
      if (apart.includes(path)) continue;
      const stats = await statOf(join(root, path));
      const kind = stats === undefined ? undefined : kindOf(stats);
      if (stats === undefined || kind === undefined) continue;
      found.push({
        kind,
        copied: false,
        mode: Number(stats.mode & 0o7777n),
        size: Number(stats.size),
        mtimeNs: stats.mtimeNs.toString(),
        inode: Number(stats.ino),
        changedNs: stats.ctimeNs.toString(),
        path,
      });
      if (kind === 'directory') queue.push(path);
    }
  }
  return found;
}

const kindOf = (stats: BigIntStats): TreeFile['kind'] | undefined =>
  stats.isFile() ? 'file' : stats.isDirectory() ? 'directory' : stats.isSymbolicLink() ? 'symlink' : undefined;

async function listNames(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch {
    return []; // gone meanwhile, or not ours to read: then the program cannot read it either
  }
}

async function statOf(path: string): Promise<BigIntStats | undefined> {
  try {
    return await lstat(path, { bigint: true });
  } catch {
    return undefined; // gone between the listing and the look
  }
}

/** Unchanged since it was listed, as far as its status tells. */
export const isSameFile = (one: TreeFile | undefined, other: TreeFile): boolean =>
  one !== undefined &&
  one.kind === other.kind &&
  one.size === other.size &&
  one.mtimeNs === other.mtimeNs &&
  one.inode === other.inode &&
  one.mode === other.mode;
