/** `client.tickets` */

import type { Run } from './commands/command.ts';
import { ticketDelete, ticketGet, ticketList, ticketModify, ticketRegister } from './commands/tickets.ts';
import type { ChirpPath, RequestOptions, TicketInfo } from './types.ts';
import type { PathRules } from './wire/path.ts';

/** Logins for others with a part of one's own rights; errors and concurrency as for all methods of ChirpClient. Names of tickets come from `ticketName`. */
export class Tickets {
  readonly #run: Run;
  readonly #rules: PathRules;

  constructor(run: Run, rules: PathRules) {
    this.#run = run;
    this.#rules = rules;
  }

  /**
   * Registers a public key. It can log in at once but may do nothing until `modify` gives it rights.
   * @param publicKey RSA key, SPKI in PEM.
   * @param seconds Life of the ticket.
   * @param subject Default `self`; somebody else only for the server's superuser.
   */
  async register(
    publicKey: string,
    seconds: number,
    subject: string = 'self',
    options?: RequestOptions,
  ): Promise<void> {
    return this.#run(ticketRegister(subject, seconds, publicKey), options);
  }

  /** Limits a ticket to `rights` on `path` and below; the longest path wins. */
  async modify(ticket: string, path: ChirpPath, rights: string, options?: RequestOptions): Promise<void> {
    return this.#run(ticketModify(ticket, path, rights, this.#rules), options);
  }

  /** Names of one's own tickets. */
  async list(subject: string = 'self', options?: RequestOptions): Promise<string[]> {
    return this.#run(ticketList(subject), options);
  }

  /** What is known of a ticket. Only for its owner. */
  async get(ticket: string, options?: RequestOptions): Promise<TicketInfo> {
    return this.#run(ticketGet(ticket), options);
  }

  /** Ends a ticket. Not idempotent. */
  async delete(ticket: string, options?: RequestOptions): Promise<void> {
    return this.#run(ticketDelete(ticket), options);
  }
}
