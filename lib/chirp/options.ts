/** The options of a client, checked and completed. */

import { UsageError } from '../errors.ts';
import type { DialOptions } from './dial.ts';
import type { AuthMethod, ChirpClientOptions } from './types.ts';
import { DEFAULT_PORT } from './wire/limits.ts';

const METHODS: readonly string[] = ['hostname', 'address', 'unix', 'ticket'];
/** The order when nobody names one. */
export const DEFAULT_METHODS: readonly AuthMethod[] = ['hostname', 'unix', 'address'];

/** @throws {UsageError} ERR_USAGE, naming the option. */
export function dialOptions(options: ChirpClientOptions): DialOptions {
  const port = options.port ?? DEFAULT_PORT;
  if (typeof options.host !== 'string' || options.host === '')
    throw new UsageError('chirp: the option host is missing');
  if (!Number.isInteger(port) || port < 1 || port > 65535) throw new UsageError(`chirp: ${port} is not a port`);
  const tickets = options.tickets ?? [];
  const methods = options.auth ?? (tickets.length > 0 ? (['ticket', ...DEFAULT_METHODS] as const) : DEFAULT_METHODS);
  if (methods.length === 0) throw new UsageError('chirp: the option auth names no method');
  for (const method of methods) {
    if (!METHODS.includes(method))
      throw new UsageError(`chirp: ${JSON.stringify(method)} is not one of ${METHODS.join(', ')}`);
  }
  return {
    host: options.host,
    port,
    methods,
    tickets,
    challengeDirectories: options.challengeDirectories ?? ['/tmp'],
    connectTimeoutMs: milliseconds('connectTimeoutMs', options.connectTimeoutMs, 15_000),
    limits: {
      stallTimeoutMs: milliseconds('stallTimeoutMs', options.stallTimeoutMs, 30_000),
      slowTimeoutMs: milliseconds('slowTimeoutMs', options.slowTimeoutMs, 300_000),
      keepAliveMs: milliseconds('keepAliveMs', options.keepAliveMs, 20_000),
      maxPipelined: Math.max(1, milliseconds('maxPipelined', options.maxPipelined, 64)),
    },
  };
}

function milliseconds(name: string, value: number | undefined, fallback: number): number {
  if (value === undefined) return fallback;
  // Timers of Node hold 31 bits.
  if (!Number.isFinite(value) || value < 0 || value > 2 ** 31 - 1)
    throw new UsageError(`chirp: option ${name} is ${value}`);
  return value;
}
