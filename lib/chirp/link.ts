/** What a client has underneath: a connection when needed, a new one when it is lost, and the retries. */

import type { ChirpConnectionError } from '../errors.ts';
import { retry } from '../util/retry.ts';
import type { Command } from './commands/command.ts';
import type { Connection } from './connection.ts';
import { connectionError } from './connection-error.ts';
import { type DialOptions, dial } from './dial.ts';
import { dialOptions } from './options.ts';
import type { ChirpClientOptions, ChirpIdentity, RequestOptions } from './types.ts';

export type Attempt<T> = (connection: Connection, signal: AbortSignal | undefined, attempt: number) => Promise<T>;

export class Link {
  readonly host: string;
  readonly port: number;
  readonly #dial: DialOptions;
  readonly #options: ChirpClientOptions;
  #connection: Connection | undefined;
  #connecting: Promise<Connection> | undefined;
  #identity: ChirpIdentity | undefined;
  #closing = false;
  readonly #compounds: Set<Promise<unknown>> = new Set<Promise<unknown>>();
  readonly #ended = new AbortController();

  constructor(options: ChirpClientOptions) {
    this.#dial = dialOptions(options);
    this.#options = options;
    this.host = this.#dial.host;
    this.port = this.#dial.port;
  }

  get isConnected(): boolean {
    return this.#connection?.isUsable === true;
  }

  get identity(): ChirpIdentity | undefined {
    return this.#identity;
  }

  async connect(options: RequestOptions = {}): Promise<ChirpIdentity> {
    await this.perform('connect', async (connection) => connection, options);
    return this.#identity as ChirpIdentity;
  }

  /** Sends a command; retried when its errors say so. */
  run<T>(command: Command<T>, options: RequestOptions = {}): Promise<T> {
    return this.perform(command.name, (connection, signal) => connection.request(command, signal), options);
  }

  /** Runs `attempt` on a living connection, again on a new one while its errors are retriable. */
  async perform<T>(name: string, attempt: Attempt<T>, options: RequestOptions = {}): Promise<T> {
    const deadline = this.#deadline(name, options.timeoutMs ?? 0);
    const signals = [options.signal, deadline?.signal].filter((signal) => signal !== undefined);
    const signal = signals.length > 1 ? AbortSignal.any(signals) : signals[0];
    const { retry: policy, onRetry } = this.#options;
    try {
      return await retry(async (number) => attempt(await this.#ready(signal), signal, number), {
        ...(policy === false ? { attempts: 1 } : policy),
        signal,
        ...(onRetry === undefined ? {} : { onRetry }),
      });
    } finally {
      deadline?.clear();
    }
  }

  /** Runs an operation of several requests, which closing lets come to its end. */
  async compound<T>(operation: () => Promise<T>): Promise<T> {
    if (this.#closing) throw this.#closedError();
    const running = operation();
    this.#compounds.add(running);
    try {
      return await running;
    } finally {
      this.#compounds.delete(running);
    }
  }

  /** Lets the outstanding operations end. */
  async close(): Promise<void> {
    if (this.#closing) return this.#connection?.closed;
    this.#closing = true;
    await this.#connecting?.catch(() => undefined);
    await Promise.allSettled(this.#compounds);
    const connection = this.#connection;
    await connection?.idle();
    this.destroy();
    await connection?.closed;
  }

  destroy(): void {
    this.#closing = true;
    this.#compounds.clear();
    this.#ended.abort(this.#closedError());
    this.#connection?.destroy(this.#closedError());
  }

  #closedError(): ChirpConnectionError {
    return connectionError(
      this,
      { code: 'ERR_CHIRP_CLOSED', message: `chirp://${this.host}:${this.port}: the client has been closed` },
      false,
    );
  }

  /** The living connection. Waiting for one under construction can be aborted without harm to others who wait. */
  async #ready(signal: AbortSignal | undefined): Promise<Connection> {
    if (this.#closing && this.#compounds.size === 0) throw this.#closedError();
    if (this.#connection?.isUsable === true) return this.#connection;
    this.#connecting ??= this.#open().finally(() => {
      this.#connecting = undefined;
    });
    return await orAborted(this.#connecting, signal);
  }

  async #open(): Promise<Connection> {
    const { connection, identity } = await dial(this.#dial, this.#ended.signal);
    if (this.#ended.signal.aborted) {
      connection.destroy(this.#closedError());
      throw this.#closedError();
    }
    this.#connection = connection;
    this.#identity = identity;
    return connection;
  }

  #deadline(name: string, ms: number): { signal: AbortSignal; clear: () => void } | undefined {
    if (ms <= 0) return undefined;
    const controller = new AbortController();
    const message = `chirp://${this.host}:${this.port}: ${name} took longer than ${ms} ms`;
    const timer = setTimeout(() => controller.abort(connectionError(this, { code: 'ETIMEDOUT', message }, false)), ms);
    return { signal: controller.signal, clear: () => clearTimeout(timer) };
  }
}

async function orAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  signal.throwIfAborted();
  let stop = (): void => undefined;
  const aborted = new Promise<never>((_, reject) => {
    const onAbort = (): void => reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    stop = () => signal.removeEventListener('abort', onAbort);
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    stop();
  }
}
