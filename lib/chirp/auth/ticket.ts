/** Method ticket: proof of possession of an RSA key that its owner has registered with the server. */

import { constants, createHash, createPrivateKey, createPublicKey, type KeyObject, privateEncrypt } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { type Conversation, readBytes, readLine } from '../wire/conversation.ts';
import { parseInteger, protocolError } from '../wire/replies.ts';
import type { Verdict } from './config.ts';
import { say } from './lines.ts';

/**
 * A challenge of exactly this size is signed, and no other: the signature is raw, and no standard hash with its prefix has this length, so a hostile server cannot
 * turn the login into a signature under something else.
 */
const CHALLENGE_BYTES = 64;

export interface Ticket {
  /** Lower-case hexadecimal MD5 of the public key. */
  readonly digest: string;
  readonly key: KeyObject;
}

/** The public half in the form the server counts with: SPKI, PEM, with the final line feed. */
export function ticketPublicKey(privateKey: KeyObject | string | Buffer): string {
  const key = typeof privateKey === 'string' || Buffer.isBuffer(privateKey) ? createPrivateKey(privateKey) : privateKey;
  return createPublicKey(key.export({ type: 'pkcs8', format: 'pem' }))
    .export({ type: 'spki', format: 'pem' })
    .toString();
}

/** The name under which a server lists a ticket: `ticket:` and the MD5 of its public key. */
export function ticketName(publicKey: string): string {
  return `ticket:${createHash('md5').update(publicKey).digest('hex')}`;
}

/** Reads a ticket file: a private key in PEM; comment lines around it do not matter. Throws what the file system or the parser says. */
export async function loadTicket(path: string): Promise<Ticket> {
  const key = createPrivateKey(await readFile(path));
  if (key.asymmetricKeyType !== 'rsa')
    throw new Error(`${path} holds a key of type ${key.asymmetricKeyType}, tickets are rsa`);
  return { digest: ticketName(ticketPublicKey(key)).slice('ticket:'.length), key };
}

export function* byTicket(tickets: readonly Ticket[]): Conversation<Verdict> {
  const reasons: string[] = [];
  for (const ticket of tickets) {
    const verdict = yield* tryTicket(ticket);
    if (verdict === undefined) return undefined;
    reasons.push(`${ticket.digest}: ${verdict}`);
  }
  // Ends the method; the server does not answer.
  yield* say('==');
  return reasons.join('; ') || 'no ticket';
}

function* tryTicket(ticket: Ticket): Conversation<Verdict> {
  yield* say(ticket.digest);
  const answer = (yield* readLine(64)).toString('latin1').trim();
  // cctools 8.0.0-dev says declined, 7.14.5 says failure.
  if (answer === 'declined' || answer === 'failure') return 'unknown or expired';
  const length = parseInteger(answer, 'length of the ticket challenge');
  if (length !== CHALLENGE_BYTES)
    throw protocolError(`a ticket challenge of ${length} bytes instead of ${CHALLENGE_BYTES}`);
  const challenge = yield* readBytes(length);
  const signature = privateEncrypt({ key: ticket.key, padding: constants.RSA_PKCS1_PADDING }, challenge);
  yield { kind: 'send', data: Buffer.concat([Buffer.from(`${signature.length}\n`), signature]) };
  const verdict = (yield* readLine(64)).toString('latin1').trim();
  if (verdict === 'success') return undefined;
  if (verdict === 'failure' || verdict === 'declined')
    return 'the signature was refused (servers need the openssl program to check it)';
  throw protocolError(`ticket login answered with ${JSON.stringify(verdict)}`);
}
