/** ChirpConnectionError from what a socket or a resolver says. */

import { ChirpConnectionError, ChirpProtocolError } from '../errors.ts';

/** Failures that may pass. A name that does not exist (ENOTFOUND) or a forbidden port will not. */
const PASSING: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'EHOSTDOWN',
  'ENETUNREACH',
  'ENETDOWN',
  'EAI_AGAIN',
]);

/**
 * @param retriable Default: whether failures of that kind may pass. Whether a request that was sent may be repeated is decided by the connection.
 */
export function connectionError(
  peer: { readonly host: string; readonly port: number },
  cause: { readonly code?: string | undefined; readonly message: string },
  retriable?: boolean,
): ChirpConnectionError {
  const code = cause.code ?? 'ECONNRESET';
  const message =
    cause instanceof Error
      ? `chirp://${peer.host}:${peer.port}: ${cause.message === '' ? code : cause.message}`
      : cause.message;
  return new ChirpConnectionError(message, {
    code,
    host: peer.host,
    port: peer.port,
    retriable: retriable ?? PASSING.has(code),
    ...(cause instanceof Error ? { cause } : {}),
  });
}

/** What a request learns that was under way when the connection ended for the reason `error`, be it its own or another's. */
export function lossOf(
  peer: { readonly host: string; readonly port: number },
  error: unknown,
  mayRepeat: boolean,
): ChirpConnectionError {
  if (error instanceof ChirpConnectionError) {
    if (error.code === 'ERR_CHIRP_CLOSED') return error;
    return connectionError(peer, { code: error.code, message: error.message }, mayRepeat);
  }
  const why =
    error instanceof ChirpProtocolError ? 'the server broke the protocol' : 'an earlier request failed in its body';
  return connectionError(peer, { code: 'ECONNRESET', message: `chirp://${peer.host}:${peer.port}: ${why}` }, mayRepeat);
}
