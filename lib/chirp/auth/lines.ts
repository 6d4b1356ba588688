/** Lines of the login dialogue. */

import { type Conversation, readLine } from '../wire/conversation.ts';
import { protocolError } from '../wire/replies.ts';

export function* say(line: string): Conversation<void> {
  yield { kind: 'send', data: Buffer.from(`${line}\n`) };
}

/** `yes` or `no`, nothing else. */
export function* readYes(): Conversation<boolean> {
  const line = (yield* readLine(64)).toString('latin1').trim();
  if (line !== 'yes' && line !== 'no')
    throw protocolError(`login answered with ${JSON.stringify(line)}; is this a Chirp server?`);
  return line === 'yes';
}
