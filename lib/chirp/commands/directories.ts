/** Directories and their listings. */

import { randomInt } from 'node:crypto';
import { ChirpError } from '../../errors.ts';
import type { ChirpEntry, ChirpPath } from '../types.ts';
import { RESULT } from '../wire/codes.ts';
import { type Conversation, readBytes, readLine } from '../wire/conversation.ts';
import { MAX_LISTING } from '../wire/limits.ts';
import { requestLine } from '../wire/line.ts';
import { displayPath, encodePath, type PathRules } from '../wire/path.ts';
import { isStatLine, parseStat } from '../wire/records.ts';
import { protocolError, readDone } from '../wire/replies.ts';
import type { Command } from './command.ts';

const LF = Buffer.from('\n');

export function mkdir(path: ChirpPath, mode: number, rules: PathRules): Command<void> {
  const shown = displayPath(path);
  const line = requestLine('mkdir', encodePath(path, rules), mode);
  return { name: 'mkdir', line, idempotent: false, path: shown, converse: () => readDone('mkdir', shown) };
}

export function rmdir(path: ChirpPath, rules: PathRules): Command<void> {
  const shown = displayPath(path);
  const line = requestLine('rmdir', encodePath(path, rules));
  return { name: 'rmdir', line, idempotent: false, path: shown, converse: () => readDone('rmdir', shown) };
}

export function rmall(path: ChirpPath, rules: PathRules): Command<void> {
  const shown = displayPath(path);
  function* converse(): Conversation<void> {
    try {
      yield* readDone('rmall', shown);
    } catch (error) {
      // cctools 8.0.0-dev answers -3 for a missing name, 7.14.5 answers 0.
      if (!(error instanceof ChirpError && error.result === RESULT.missing)) throw error;
    }
  }
  const line = requestLine('rmall', encodePath(path, rules));
  return { name: 'rmall', line, idempotent: true, slow: true, path: shown, converse };
}

export function getdir(path: ChirpPath, rules: PathRules): Command<string[]> {
  return listing('getdir', path, rules, (lines) =>
    lines.map((line) => line.toString()).filter((name) => name !== '.' && name !== '..'),
  );
}

export function getlongdir(path: ChirpPath, rules: PathRules): Command<ChirpEntry[]> {
  return listing('getlongdir', path, rules, entriesOf);
}

/**
 * The server ends a listing with a blank line but prints names raw, so a name with two line feeds in it could end the listing early and pass off the rest of itself as
 * the answer to the next request. So every listing is followed by two `whoami` with random lengths, which no name can know beforehand: only a blank line
 * followed by those answers is the end.
 */
function listing<T>(name: string, path: ChirpPath, rules: PathRules, parse: (lines: Buffer[]) => T): Command<T> {
  const shown = displayPath(path);
  // Every subject is longer than `unix:`.
  const probes = [randomInt(1, 6), randomInt(1, 6)];
  const line = Buffer.concat([
    requestLine(name, encodePath(path, rules)),
    ...probes.map((n) => requestLine('whoami', n)),
  ]);
  function* converse(): Conversation<T> {
    let refusal: ChirpError | undefined;
    try {
      yield* readDone(name, shown);
    } catch (error) {
      if (!(error instanceof ChirpError)) throw error;
      refusal = error;
    }
    const lines = refusal === undefined ? yield* readListing(name, probes[0] ?? 0) : [];
    if (refusal !== undefined && !(yield* isProbe(probes[0] ?? 0, yield* readLine())))
      throw protocolError(`${name} is out of step`);
    if (!(yield* isProbe(probes[1] ?? 0, yield* readLine())))
      throw protocolError(`${name} is out of step after a name with line feeds`);
    if (refusal !== undefined) throw refusal;
    return parse(lines);
  }
  return { name, line, idempotent: true, slow: true, path: shown, converse };
}

/** Lines up to a blank one that is followed by the answer to the first probe, which is taken as well. */
function* readListing(name: string, probe: number): Conversation<Buffer[]> {
  const lines: Buffer[] = [];
  for (let bytes = 0; ; ) {
    const line = yield* readLine();
    if (lines.at(-1)?.length === 0 && (yield* isProbe(probe, line))) {
      lines.pop();
      return lines;
    }
    // Every line costs an object besides its bytes.
    bytes += line.length + 128;
    if (bytes > MAX_LISTING) throw protocolError(`${name} answers with more than ${MAX_LISTING} bytes`);
    lines.push(line);
  }
}

function* isProbe(length: number, line: Buffer): Conversation<boolean> {
  if (line.toString('latin1') !== String(length)) return false;
  // Part of the subject, whose letters do not matter.
  yield* readBytes(length);
  return true;
}

interface RawEntry {
  name: Buffer[];
  record: Buffer;
}

/**
 * Names and records alternate; a name with line feeds takes several lines, up to the next record. A record right behind a record shows that the first of the two was a part of a
 * name that looks like one, unless a third follows: then the second is such a name.
 */
function entriesOf(lines: readonly Buffer[]): ChirpEntry[] {
  const raw: RawEntry[] = [];
  let pending: Buffer[] = [];
  for (const line of lines) {
    const isRecord = isStatLine(line);
    if (!isRecord) pending = takeBack(raw, pending);
    if (isRecord && pending.length > 0) {
      raw.push({ name: pending, record: line });
      pending = [];
    } else {
      pending.push(line);
    }
  }
  if (takeBack(raw, pending).length > 0) throw protocolError('a listing ends with a name that has no record');
  return raw.map(toEntry).filter(({ name }) => name !== '.' && name !== '..');
}

/** A lone record that waits as if it were a name belongs to the entry before it. */
function takeBack(raw: readonly RawEntry[], pending: Buffer[]): Buffer[] {
  const [only] = pending;
  const last = raw.at(-1);
  if (pending.length !== 1 || only === undefined || last === undefined || !isStatLine(only)) return pending;
  last.name.push(last.record);
  last.record = only;
  return [];
}

function toEntry({ name, record }: RawEntry): ChirpEntry {
  const nameBytes = joinLines(name);
  return { name: nameBytes.toString(), nameBytes, stat: parseStat(record) };
}

function joinLines(lines: readonly Buffer[]): Buffer {
  return Buffer.concat(lines.flatMap((line, index) => (index === 0 ? [line] : [LF, line])));
}
