/** What a name says about itself: stat, access, times, sizes, digests. */

import { ChirpError, UsageError } from '../../errors.ts';
import type { ChirpPath, ChirpStat, ChirpStatfs } from '../types.ts';
import { RESULT } from '../wire/codes.ts';
import { type Conversation, readLine } from '../wire/conversation.ts';
import { plainWord, requestLine } from '../wire/line.ts';
import { displayPath, encodePath, type PathRules } from '../wire/path.ts';
import { parseStat, parseStatfs } from '../wire/records.ts';
import { protocolError, readCounted, readDone } from '../wire/replies.ts';
import type { Command } from './command.ts';

const DIGESTS: Readonly<Record<string, number>> = { md5: 16, sha1: 20 };
const MAX_DIGEST = 64;

/** 0, then a stat record. */
export function* readStat(name: string, path: string): Conversation<ChirpStat> {
  yield* readDone(name, path);
  return parseStat(yield* readLine());
}

function simple(name: string, path: ChirpPath, rules: PathRules, ...more: readonly number[]): Command<void> {
  const shown = displayPath(path);
  return {
    name,
    line: requestLine(name, encodePath(path, rules), ...more),
    idempotent: true,
    path: shown,
    converse: () => readDone(name, shown),
  };
}

function statCommand(name: string, path: ChirpPath, rules: PathRules): Command<ChirpStat> {
  const shown = displayPath(path);
  return { ...simple(name, path, rules), converse: () => readStat(name, shown) };
}

export function stat(path: ChirpPath, rules: PathRules): Command<ChirpStat> {
  return statCommand('stat', path, rules);
}

export function lstat(path: ChirpPath, rules: PathRules): Command<ChirpStat> {
  return statCommand('lstat', path, rules);
}

export function statIfExists(path: ChirpPath, rules: PathRules): Command<ChirpStat | undefined> {
  const command = stat(path, rules);
  function* converse(): Conversation<ChirpStat | undefined> {
    try {
      return yield* command.converse();
    } catch (error) {
      if (error instanceof ChirpError && error.result === RESULT.missing) return undefined;
      throw error;
    }
  }
  return { ...command, converse };
}

export function access(path: ChirpPath, bits: number, rules: PathRules): Command<void> {
  return simple('access', path, rules, bits);
}

export function chmod(path: ChirpPath, mode: number, rules: PathRules): Command<void> {
  return simple('chmod', path, rules, mode);
}

export function truncate(path: ChirpPath, size: number, rules: PathRules): Command<void> {
  if (size < 0) throw new UsageError(`chirp truncate: size ${size} is negative`);
  return simple('truncate', path, rules, size);
}

export function utime(path: ChirpPath, atime: number, mtime: number, rules: PathRules): Command<void> {
  return simple('utime', path, rules, Math.floor(atime), Math.floor(mtime));
}

export function statfs(path: ChirpPath, rules: PathRules): Command<ChirpStatfs> {
  const shown = displayPath(path);
  function* converse(): Conversation<ChirpStatfs> {
    yield* readDone('statfs', shown);
    return parseStatfs(yield* readLine());
  }
  return { ...simple('statfs', path, rules), converse };
}

export function md5(path: ChirpPath, rules: PathRules): Command<Buffer> {
  return digest('md5', 'md5', path, rules, requestLine('md5', encodePath(path, rules)));
}

export function hash(algorithm: string, path: ChirpPath, rules: PathRules): Command<Buffer> {
  const line = requestLine('hash', plainWord('algorithm', algorithm), encodePath(path, rules));
  return digest('hash', algorithm, path, rules, line);
}

function digest(name: string, algorithm: string, path: ChirpPath, rules: PathRules, line: Buffer): Command<Buffer> {
  const shown = displayPath(path);
  const expected = DIGESTS[algorithm];
  function* converse(): Conversation<Buffer> {
    const bytes = yield* readCounted(name, expected ?? MAX_DIGEST, shown);
    if (bytes.length !== (expected ?? bytes.length))
      throw protocolError(`a ${algorithm} digest of ${bytes.length} bytes`);
    return bytes;
  }
  return { ...simple(name, path, rules), line, slow: true, converse };
}
