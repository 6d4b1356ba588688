/** Access control lists. Source: cctools chirp_acl.c as observed; rights letters rwldpax and v(…), n or - for none. */

import { UsageError } from '../../errors.ts';
import type { ChirpAclEntry, ChirpPath } from '../types.ts';
import type { Conversation } from '../wire/conversation.ts';
import { plainWord, requestLine } from '../wire/line.ts';
import { displayPath, encodePath, type PathRules } from '../wire/path.ts';
import { protocolError, readDone, readLines } from '../wire/replies.ts';
import type { Command } from './command.ts';

const RIGHTS = /^(?:[rwldpaxn-]|v(?:\([rwldpax]*\))?)+$/;

export function checkRights(rights: string): string {
  if (!RIGHTS.test(rights))
    throw new UsageError(`chirp: ${JSON.stringify(rights)} is not a list of rights (letters of rwldpax, v, v(…), n)`);
  return rights;
}

export function getacl(path: ChirpPath, rules: PathRules): Command<ChirpAclEntry[]> {
  const shown = displayPath(path);
  function* converse(): Conversation<ChirpAclEntry[]> {
    yield* readDone('getacl', shown);
    return (yield* readLines('getacl')).map(parseEntry);
  }
  const line = requestLine('getacl', encodePath(path, rules));
  return { name: 'getacl', line, idempotent: true, path: shown, converse };
}

function parseEntry(line: Buffer): ChirpAclEntry {
  const [subject, rights, ...rest] = line.toString().trim().split(' ');
  if (subject === undefined || rights === undefined || rest.length > 0)
    throw protocolError('an ACL line is not "subject rights"');
  return { subject, rights };
}

export function setacl(path: ChirpPath, subject: string, rights: string, rules: PathRules): Command<void> {
  const shown = displayPath(path);
  const line = requestLine('setacl', encodePath(path, rules), plainWord('subject', subject), checkRights(rights));
  return { name: 'setacl', line, idempotent: true, path: shown, converse: () => readDone('setacl', shown) };
}

export function resetacl(path: ChirpPath, rights: string, rules: PathRules): Command<void> {
  const shown = displayPath(path);
  const line = requestLine('resetacl', encodePath(path, rules), checkRights(rights));
  return { name: 'resetacl', line, idempotent: true, path: shown, converse: () => readDone('resetacl', shown) };
}
