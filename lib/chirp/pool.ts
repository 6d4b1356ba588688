/** Several clients of one server, for moving files in parallel. */

import { ChirpClient } from './client.ts';
import type { ChirpClientOptions } from './types.ts';

/**
 * Up to `size` clients with the same options, made as they are needed. Each `use` has one for itself. Waiting calls are served in order.
 *
 * @example
 * await using pool = new ChirpPool({ host: 'localhost' }, 3);
 * await Promise.all(files.map((file) => pool.use((client) => client.putFile(file.name, file.content))));
 */
export class ChirpPool implements AsyncDisposable {
  readonly size: number;
  readonly #options: ChirpClientOptions;
  readonly #all: ChirpClient[] = [];
  readonly #idle: ChirpClient[] = [];
  readonly #queue: ((client: ChirpClient) => void)[] = [];

  /** @param size Most connections at a time, default 3. The gain from more than 4 is small: the server has one process per connection. */
  constructor(options: ChirpClientOptions, size: number = 3) {
    this.#options = options;
    this.size = Math.max(1, Math.floor(size));
  }

  /**
   * Lends a client to `work` until its promise settles; gives what it gives, throws what it throws.
   * @param signal Ends the waiting for a free client; the work itself must watch it too.
   */
  async use<T>(work: (client: ChirpClient) => Promise<T>, signal?: AbortSignal): Promise<T> {
    const client = await this.#acquire(signal);
    try {
      return await work(client);
    } finally {
      this.#release(client);
    }
  }

  /** Closes all clients after their outstanding requests. Idempotent, never throws. */
  async close(): Promise<void> {
    await Promise.all(this.#all.map((client) => client.close()));
  }

  /** Drops all connections at once. */
  destroy(): void {
    for (const client of this.#all) client.destroy();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #acquire(signal: AbortSignal | undefined): Promise<ChirpClient> {
    if (signal?.aborted === true) return Promise.reject(signal.reason);
    const idle = this.#idle.pop();
    if (idle !== undefined) return Promise.resolve(idle);
    if (this.#all.length < this.size) {
      const client = new ChirpClient(this.#options);
      this.#all.push(client);
      return Promise.resolve(client);
    }
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        this.#queue.splice(this.#queue.indexOf(grant), 1);
        reject(signal?.reason);
      };
      const grant = (client: ChirpClient): void => {
        signal?.removeEventListener('abort', onAbort);
        resolve(client);
      };
      this.#queue.push(grant);
      signal?.addEventListener('abort', onAbort, { once: true });
    });
  }

  #release(client: ChirpClient): void {
    const next = this.#queue.shift();
    if (next === undefined) this.#idle.push(client);
    else next(client);
  }
}
