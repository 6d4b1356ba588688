/** Who we are to the server. */

import type { Conversation } from '../wire/conversation.ts';
import { requestLine } from '../wire/line.ts';
import { readCounted } from '../wire/replies.ts';
import type { Command } from './command.ts';

const MAX_SUBJECT = 1024;

/** The number is required by the server and cuts the answer. */
export function whoami(): Command<string> {
  function* converse(): Conversation<string> {
    return (yield* readCounted('whoami', MAX_SUBJECT)).toString();
  }
  return { name: 'whoami', line: requestLine('whoami', MAX_SUBJECT), idempotent: true, converse };
}
