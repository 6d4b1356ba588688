/** Extended attributes. A missing attribute is answered -127 (unknown). Names are taken literally by the server. */

import { UsageError } from '../../errors.ts';
import type { ChirpPath } from '../types.ts';
import type { Conversation } from '../wire/conversation.ts';
import { MAX_BLOCK } from '../wire/limits.ts';
import { plainWord, requestLine } from '../wire/line.ts';
import { displayPath, encodePath, type PathRules } from '../wire/path.ts';
import { readCounted, readDone } from '../wire/replies.ts';
import type { Command } from './command.ts';

export function getxattr(path: ChirpPath, attribute: string, rules: PathRules): Command<Buffer> {
  const shown = displayPath(path);
  const line = requestLine('getxattr', encodePath(path, rules), plainWord('attribute', attribute));
  return {
    name: 'getxattr',
    line,
    idempotent: true,
    path: shown,
    converse: () => readCounted('getxattr', MAX_BLOCK, shown),
  };
}

export function listxattr(path: ChirpPath, rules: PathRules): Command<string[]> {
  const shown = displayPath(path);
  function* converse(): Conversation<string[]> {
    const names = (yield* readCounted('listxattr', MAX_BLOCK, shown)).toString();
    return names.split('\0').filter((name) => name !== '');
  }
  return {
    name: 'listxattr',
    line: requestLine('listxattr', encodePath(path, rules)),
    idempotent: true,
    path: shown,
    converse,
  };
}

/** The server reads the value whether or not it can use it, so the connection stays in step after a refusal. */
export function setxattr(path: ChirpPath, attribute: string, value: Uint8Array, rules: PathRules): Command<void> {
  if (value.length > MAX_BLOCK)
    throw new UsageError(`chirp setxattr: a value of ${value.length} bytes, at most ${MAX_BLOCK} are possible`);
  const shown = displayPath(path);
  const line = requestLine('setxattr', encodePath(path, rules), plainWord('attribute', attribute), value.length, 0);
  return {
    name: 'setxattr',
    line,
    body: value,
    idempotent: true,
    path: shown,
    converse: () => readDone('setxattr', shown),
  };
}

export function removexattr(path: ChirpPath, attribute: string, rules: PathRules): Command<void> {
  const shown = displayPath(path);
  const line = requestLine('removexattr', encodePath(path, rules), plainWord('attribute', attribute));
  return { name: 'removexattr', line, idempotent: false, path: shown, converse: () => readDone('removexattr', shown) };
}
