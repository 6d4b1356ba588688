/** What a login needs to know. */

import type { AuthMethod } from '../types.ts';
import type { Ticket } from './ticket.ts';

export interface LoginConfig {
  /** In the order in which they are tried. */
  readonly methods: readonly AuthMethod[];
  readonly tickets: readonly Ticket[];
  /** Tickets that could not be used, for the error message. */
  readonly unusableTickets: readonly string[];
  readonly challengeDirectories: readonly string[];
}

/** `undefined` = accepted; else why not. */
export type Verdict = string | undefined;
