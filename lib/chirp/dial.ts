/** Makes a logged-in connection. */

import { connect, type Socket } from 'node:net';
import { ChirpConnectionError } from '../errors.ts';
import { errorMessage } from '../util/error-facts.ts';
import type { LoginConfig } from './auth/config.ts';
import { loginCommand } from './auth/login.ts';
import { loadTicket, type Ticket } from './auth/ticket.ts';
import { Connection } from './connection.ts';
import { connectionError } from './connection-error.ts';
import type { ConnectionLimits } from './connection-limits.ts';
import type { AuthMethod, ChirpIdentity } from './types.ts';

/** Bytes read at once. The memory is reused for every read: pieces are copied to where they belong while they are in the cache. */
const READ_BUFFER = 256 * 1024;

export interface DialOptions {
  readonly host: string;
  readonly port: number;
  readonly methods: readonly AuthMethod[];
  readonly tickets: readonly string[];
  readonly challengeDirectories: readonly string[];
  readonly connectTimeoutMs: number;
  readonly limits: ConnectionLimits;
}

export interface Dialled {
  readonly connection: Connection;
  readonly identity: ChirpIdentity;
}

/**
 * Connects and logs in.
 * @throws {ChirpConnectionError} ECONNREFUSED, ENOTFOUND, ETIMEDOUT, …
 * @throws {ChirpAuthError} ERR_CHIRP_AUTH
 */
export async function dial(options: DialOptions, signal: AbortSignal): Promise<Dialled> {
  const config = await loginConfig(options);
  signal.throwIfAborted();
  const limit = new AbortController();
  const message = `chirp://${options.host}:${options.port}: no login within ${options.connectTimeoutMs} ms`;
  const timer =
    options.connectTimeoutMs > 0
      ? setTimeout(
          () => limit.abort(connectionError(options, { code: 'ETIMEDOUT', message })),
          options.connectTimeoutMs,
        )
      : undefined;
  const either = AbortSignal.any([signal, limit.signal]);
  try {
    const connection = await connectSocket(options, either);
    const identity = await connection.request(loginCommand(config), either);
    return { connection, identity };
  } finally {
    clearTimeout(timer);
  }
}

async function loginConfig(options: DialOptions): Promise<LoginConfig> {
  const tickets: Ticket[] = [];
  const unusableTickets: string[] = [];
  for (const path of options.methods.includes('ticket') ? options.tickets : []) {
    try {
      tickets.push(await loadTicket(path));
    } catch (error) {
      unusableTickets.push(`${path}: ${errorMessage(error)}`);
    }
  }
  return { methods: options.methods, tickets, unusableTickets, challengeDirectories: options.challengeDirectories };
}

function connectSocket(options: DialOptions, signal: AbortSignal): Promise<Connection> {
  return new Promise((resolve, reject) => {
    let connection: Connection | undefined;
    const socket: Socket = connect({
      host: options.host,
      port: options.port,
      noDelay: true,
      keepAlive: true,
      onread: {
        buffer: Buffer.allocUnsafeSlow(READ_BUFFER),
        callback: (length, buffer) => {
          connection?.receive(Buffer.from(buffer.buffer, buffer.byteOffset, length));
          return true;
        },
      },
    });
    const onAbort = (): void => {
      socket.destroy();
      reject(signal.reason);
    };
    const onError = (error: NodeJS.ErrnoException): void => {
      signal.removeEventListener('abort', onAbort);
      reject(error instanceof ChirpConnectionError ? error : connectionError(options, error));
    };
    signal.addEventListener('abort', onAbort, { once: true });
    socket.once('error', onError);
    socket.once('connect', () => {
      signal.removeEventListener('abort', onAbort);
      socket.off('error', onError);
      connection = new Connection(socket, options.host, options.port, options.limits);
      resolve(connection);
    });
  });
}
