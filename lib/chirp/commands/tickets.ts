/** Tickets: public keys that may log in with a part of their owner's rights. */

import { UsageError } from '../../errors.ts';
import type { ChirpPath, TicketInfo } from '../types.ts';
import { type Conversation, readLine } from '../wire/conversation.ts';
import { MAX_BLOCK } from '../wire/limits.ts';
import { plainWord, requestLine } from '../wire/line.ts';
import { encodePath, type PathRules } from '../wire/path.ts';
import { parseInteger, protocolError, readBlock, readDone } from '../wire/replies.ts';
import { checkRights } from './acl.ts';
import type { Command } from './command.ts';

const MAX_TICKETS = 100_000;
const TICKET = /^ticket:[0-9a-f]{32}$/;

function checkTicket(ticket: string): string {
  if (!TICKET.test(ticket))
    throw new UsageError(`chirp: ${JSON.stringify(ticket)} is not ticket:<32 hexadecimal digits>`);
  return ticket;
}

export function ticketRegister(subject: string, seconds: number, publicKey: string): Command<void> {
  const body = Buffer.from(publicKey);
  const line = requestLine('ticket_register', plainWord('subject', subject), seconds, body.length);
  return { name: 'ticket_register', line, body, idempotent: true, converse: () => readDone('ticket_register') };
}

export function ticketModify(ticket: string, path: ChirpPath, rights: string, rules: PathRules): Command<void> {
  const line = requestLine('ticket_modify', checkTicket(ticket), encodePath(path, rules), checkRights(rights));
  return { name: 'ticket_modify', line, idempotent: true, converse: () => readDone('ticket_modify') };
}

export function ticketDelete(ticket: string): Command<void> {
  const line = requestLine('ticket_delete', checkTicket(ticket));
  return { name: 'ticket_delete', line, idempotent: false, converse: () => readDone('ticket_delete') };
}

export function ticketList(subject: string): Command<string[]> {
  function* converse(): Conversation<string[]> {
    yield* readDone('ticket_list');
    const tickets: string[] = [];
    for (;;) {
      const name = (yield* readBlock('ticket_list', 4096)).toString();
      if (name === '') return tickets;
      tickets.push(name);
      if (tickets.length > MAX_TICKETS) throw protocolError('ticket_list does not end');
    }
  }
  return {
    name: 'ticket_list',
    line: requestLine('ticket_list', plainWord('subject', subject)),
    idempotent: true,
    converse,
  };
}

export function ticketGet(ticket: string): Command<TicketInfo> {
  function* converse(): Conversation<TicketInfo> {
    yield* readDone('ticket_get');
    const subject = (yield* readBlock('ticket_get', 4096)).toString();
    const publicKey = (yield* readBlock('ticket_get', MAX_BLOCK)).toString();
    const secondsLeft = parseInteger((yield* readLine(64)).toString().trim(), 'life of a ticket');
    const rights: { path: string; rights: string }[] = [];
    for (;;) {
      const line = (yield* readLine()).toString().trim();
      if (line === '0') return { subject, publicKey, secondsLeft, rights };
      // The path comes raw and may hold blanks; rights do not.
      const cut = line.lastIndexOf(' ');
      if (cut <= 0 || rights.length > MAX_TICKETS) throw protocolError('ticket_get: a line is not "path rights"');
      rights.push({ path: line.slice(0, cut), rights: line.slice(cut + 1) });
    }
  }
  return { name: 'ticket_get', line: requestLine('ticket_get', checkTicket(ticket)), idempotent: true, converse };
}
