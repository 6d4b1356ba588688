/** stat and statfs lines. Source: observed order of cctools servers; the published protocol page has statfs in another, wrong order. */

import type { ChirpStat, ChirpStatfs } from '../types.ts';
import { parseInteger, protocolError } from './replies.ts';

const STAT_FIELDS = 13;
const STATFS_FIELDS = 7;
const STAT_LINE = /^-?\d+(?: -?\d+){12} ?$/;

const FORMAT_MASK = 0o170000;
const FORMATS: ReadonlyMap<number, ChirpStat['type']> = new Map([
  [0o100000, 'file'],
  [0o040000, 'directory'],
  [0o120000, 'symlink'],
]);

/** Whether a line can be a stat record: how a listing finds its way again after a name with line feeds. */
export function isStatLine(line: Buffer): boolean {
  return line.length < 400 && STAT_LINE.test(line.toString('latin1'));
}

function fields(line: Buffer, count: number, what: string): string[] {
  const words = line.toString('latin1').trim().split(' ');
  if (words.length !== count) throw protocolError(`${what} record has ${words.length} fields instead of ${count}`);
  return words;
}

/** `dev ino mode nlink uid gid rdev size blksize blocks atime mtime ctime`, decimal. */
export function parseStat(line: Buffer): ChirpStat {
  const words = fields(line, STAT_FIELDS, 'stat');
  const number = (index: number): number => parseInteger(words[index] ?? '', 'stat field');
  const inode = words[1] ?? '';
  if (!/^-?\d{1,20}$/.test(inode)) throw protocolError('inode is not an integer');
  const mode = number(2);
  return {
    dev: number(0),
    ino: BigInt.asUintN(64, BigInt(inode)),
    mode,
    nlink: number(3),
    uid: number(4),
    gid: number(5),
    rdev: number(6),
    size: number(7),
    blksize: number(8),
    blocks: number(9),
    atime: number(10),
    mtime: number(11),
    ctime: number(12),
    type: FORMATS.get(mode & FORMAT_MASK) ?? 'other',
  };
}

/** `type bsize blocks bfree bavail files ffree`. */
export function parseStatfs(line: Buffer): ChirpStatfs {
  const words = fields(line, STATFS_FIELDS, 'statfs');
  const [type, bsize, blocks, bfree, bavail, files, ffree] = words.map((word) => count(word));
  return { type, bsize, blocks, bfree, bavail, files, ffree } as ChirpStatfs;
}

/** File systems without a limit report counts near 2^64: precision does not matter there, the magnitude does. */
function count(word: string): number {
  if (!/^-?\d{1,20}$/.test(word))
    throw protocolError(`statfs field is not an integer: ${JSON.stringify(word.slice(0, 80))}`);
  return Number(word);
}
