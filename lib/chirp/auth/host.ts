/** Methods hostname and address: the server looks where we come from; we only ask. */

import type { Conversation } from '../wire/conversation.ts';
import type { Verdict } from './config.ts';
import { readYes } from './lines.ts';

export function* byHost(): Conversation<Verdict> {
  return (yield* readYes()) ? undefined : 'the server does not know this host';
}
