/** Making, moving and removing names of files. None of these can be repeated blindly: the second try would find the first one's work. */

import type { ChirpPath } from '../types.ts';
import type { Conversation } from '../wire/conversation.ts';
import { plainWord, requestLine } from '../wire/line.ts';
import { displayPath, encodePath, type PathRules } from '../wire/path.ts';
import { readCounted, readDone } from '../wire/replies.ts';
import type { Command } from './command.ts';

const MAX_LINK_TARGET = 4096;

function change(name: string, line: Buffer, path: ChirpPath): Command<void> {
  const shown = displayPath(path);
  return { name, line, idempotent: false, path: shown, converse: () => readDone(name, shown) };
}

export function rename(from: ChirpPath, to: ChirpPath, rules: PathRules): Command<void> {
  return change('rename', requestLine('rename', encodePath(from, rules), encodePath(to, rules)), from);
}

export function unlink(path: ChirpPath, rules: PathRules): Command<void> {
  return change('unlink', requestLine('unlink', encodePath(path, rules)), path);
}

export function link(existing: ChirpPath, path: ChirpPath, rules: PathRules): Command<void> {
  return change('link', requestLine('link', encodePath(existing, rules), encodePath(path, rules)), path);
}

/** The server decodes the path but stores the target as it stands. */
export function symlink(target: ChirpPath, path: ChirpPath, rules: PathRules): Command<void> {
  return change('symlink', requestLine('symlink', plainWord('link target', target), encodePath(path, rules)), path);
}

export function readlink(path: ChirpPath, rules: PathRules): Command<string> {
  const shown = displayPath(path);
  function* converse(): Conversation<string> {
    return (yield* readCounted('readlink', MAX_LINK_TARGET, shown)).toString();
  }
  const line = requestLine('readlink', encodePath(path, rules), MAX_LINK_TARGET);
  return { name: 'readlink', line, idempotent: true, path: shown, converse };
}
