/** Descriptors. Their numbers belong to one connection and end with it. */

import { ChirpError, UsageError } from '../../errors.ts';
import type { ChirpPath, ChirpStat } from '../types.ts';
import { type Conversation, DropConnection, readInto, readLine } from '../wire/conversation.ts';
import { MAX_BLOCK } from '../wire/limits.ts';
import { requestLine } from '../wire/line.ts';
import { displayPath, encodePath, type PathRules } from '../wire/path.ts';
import { parseStat } from '../wire/records.ts';
import { protocolError, readDone, readResult } from '../wire/replies.ts';
import { readStat } from './attributes.ts';
import type { Command } from './command.ts';

/** Letters the server knows. Unknown ones would silently open for reading. */
const FLAGS = /^[rwctaxs]+$/;

export interface Opened {
  readonly fd: number;
  readonly stat: ChirpStat;
}

export function open(path: ChirpPath, flags: string, mode: number, rules: PathRules): Command<Opened> {
  if (!FLAGS.test(flags))
    throw new UsageError(`chirp open: ${JSON.stringify(flags)} are not flags (letters of rwctaxs)`);
  const shown = displayPath(path);
  function* converse(): Conversation<Opened> {
    const fd = yield* readResult('open', shown);
    return { fd, stat: parseStat(yield* readLine()) };
  }
  const line = requestLine('open', encodePath(path, rules), flags, mode);
  // With x a second try would meet the first one's file.
  return { name: 'open', line, idempotent: !flags.includes('x'), path: shown, converse };
}

function onDescriptor(name: string, fd: number, path: string, ...more: readonly number[]): Command<void> {
  return { name, line: requestLine(name, fd, ...more), idempotent: true, path, converse: () => readDone(name, path) };
}

export function close(fd: number, path: string): Command<void> {
  return onDescriptor('close', fd, path);
}

export function fsync(fd: number, path: string): Command<void> {
  return { ...onDescriptor('fsync', fd, path), slow: true };
}

export function fchmod(fd: number, mode: number, path: string): Command<void> {
  return onDescriptor('fchmod', fd, path, mode);
}

export function ftruncate(fd: number, size: number, path: string): Command<void> {
  if (size < 0) throw new UsageError(`chirp ftruncate: size ${size} is negative`);
  return onDescriptor('ftruncate', fd, path, size);
}

export function fstat(fd: number, path: string): Command<ChirpStat> {
  return { ...onDescriptor('fstat', fd, path), converse: () => readStat('fstat', path) };
}

/** Reads into `target`; gives the number of bytes, 0 at the end of the file. */
export function pread(fd: number, target: Buffer, offset: number, path: string): Command<number> {
  checkBlock('pread', target.length, offset);
  function* converse(): Conversation<number> {
    const count = yield* readResult('pread', path);
    if (count > target.length) throw protocolError(`pread of ${target.length} bytes gives ${count}`);
    yield* readInto(target.subarray(0, count));
    return count;
  }
  return {
    name: 'pread',
    line: requestLine('pread', fd, target.length, offset),
    idempotent: true,
    flow: 'streamed',
    path,
    converse,
  };
}

/** Writes at an offset; gives the number of bytes, which is short on a full disk. The server takes the whole body even when it refuses it. */
export function pwrite(
  fd: number,
  data: Uint8Array,
  offset: number,
  path: string,
  idempotent: boolean,
): Command<number> {
  checkBlock('pwrite', data.length, offset);
  function* converse(): Conversation<number> {
    try {
      const count = yield* readResult('pwrite', path);
      if (count > data.length) throw protocolError(`pwrite of ${data.length} bytes gives ${count}`);
      return count;
    } catch (error) {
      // After a stall the server answers so without having taken the whole body: the rest would be executed as requests.
      if (error instanceof ChirpError && BODY_LOST.has(error.result)) throw new DropConnection(error);
      throw error;
    }
  }
  return {
    name: 'pwrite',
    line: requestLine('pwrite', fd, data.length, offset),
    body: data,
    idempotent,
    path,
    converse,
  };
}

const BODY_LOST: ReadonlySet<number> = new Set([-8, -18, -19, -127]);

function checkBlock(name: string, length: number, offset: number): void {
  if (!Number.isSafeInteger(offset) || offset < 0)
    throw new UsageError(`chirp ${name}: offset ${offset} is not a position`);
  if (length > MAX_BLOCK)
    throw new UsageError(`chirp ${name}: ${length} bytes, at most ${MAX_BLOCK} go into one request`);
}
