/** Login: the configured methods in their order; the first success fixes the identity. */

import { ChirpAuthError } from '../../errors.ts';
import type { Command } from '../commands/command.ts';
import type { AuthMethod, ChirpIdentity } from '../types.ts';
import { type Conversation, DropConnection, readLine } from '../wire/conversation.ts';
import { protocolError } from '../wire/replies.ts';
import type { LoginConfig, Verdict } from './config.ts';
import { byHost } from './host.ts';
import { readYes, say } from './lines.ts';
import { byTicket } from './ticket.ts';
import { byUnix } from './unix.ts';

/** The first thing on every connection. */
export function loginCommand(config: LoginConfig): Command<ChirpIdentity> {
  return { name: 'login', line: Buffer.alloc(0), idempotent: true, flow: 'gated', converse: () => login(config) };
}

function* login(config: LoginConfig): Conversation<ChirpIdentity> {
  const tried: { method: AuthMethod; reason: string }[] = [];
  for (const method of config.methods) {
    const verdict = yield* attempt(method, config);
    if (verdict === undefined && (yield* readYes())) return yield* readIdentity(method);
    tried.push({ method, reason: verdict ?? 'the server withdrew its consent' });
  }
  const reasons = tried.map(({ method, reason }) => `${method} (${reason})`).join(', ');
  throw new DropConnection(new ChirpAuthError(`chirp login refused: ${reasons}`, { code: 'ERR_CHIRP_AUTH', tried }));
}

function* attempt(method: AuthMethod, config: LoginConfig): Conversation<Verdict> {
  if (method === 'ticket' && config.tickets.length === 0) return config.unusableTickets.join('; ') || 'no ticket given';
  yield* say(method);
  if (!(yield* readYes())) return 'the server does not offer it';
  if (method === 'unix') return yield* byUnix(config.challengeDirectories);
  if (method === 'ticket') return yield* byTicket(config.tickets);
  return yield* byHost();
}

function* readIdentity(method: AuthMethod): Conversation<ChirpIdentity> {
  const named = (yield* readLine(1024)).toString();
  const name = (yield* readLine(1024)).toString();
  if (named !== method) throw protocolError(`logged in by ${method}, the server says ${JSON.stringify(named)}`);
  return { method, name };
}
