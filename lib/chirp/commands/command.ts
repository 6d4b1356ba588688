/** What one request is: its line, what follows it, and how its reply is read. Commands are plain data until a connection sends them. */

import type { Conversation } from '../wire/conversation.ts';

export interface Command<T> {
  /** Wire name, for errors. */
  readonly name: string;
  /** The request line with its LF. */
  readonly line: Buffer;
  /** Sent right behind the line (pwrite, setxattr, ticket_register). Never a putfile body: that is uploaded from inside the conversation. */
  readonly body?: Uint8Array;
  /** May be repeated when it is unknown whether the server carried it out. */
  readonly idempotent: boolean;
  /** `gated`: nothing may be sent behind the line until the reply is complete. `streamed`: the reply's body is unbounded. */
  readonly flow?: 'gated' | 'streamed';
  /** The server answers only after work that grows with the data. */
  readonly slow?: boolean;
  /** For errors. */
  readonly path?: string;
  /** Reads the reply. */
  converse(): Conversation<T>;
}

/** Sends a command and gives its result; the client's way with reconnecting and retrying. */
export type Run = <T>(command: Command<T>, options?: { signal?: AbortSignal; timeoutMs?: number }) => Promise<T>;
