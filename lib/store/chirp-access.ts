/** The connections of a store to its Chirp server, and as whom they log in. */

import { type ChirpClientOptions, ChirpPool } from '../chirp/index.ts';
import { DEFAULT_METHODS } from '../chirp/options.ts';
import { chooseLogin } from './chirp-login.ts';

const CONNECTIONS = 3;

/**
 * Whoever names a method or a ticket gets it, and on other machines the first method that the server accepts holds: there `unix` can only fail, after
 * seconds. On this machine the login is the one that has the rights.
 */
export class ChirpAccess {
  readonly #server: ChirpClientOptions;
  readonly #root: string;
  #pool: ChirpPool;
  #login: 'to be chosen' | 'found useless' | 'chosen';

  /** @param root Path of the store on the server without a slash at the end. */
  constructor(server: ChirpClientOptions, root: string, isLocal: boolean) {
    this.#server = server;
    this.#root = root;
    this.#pool = new ChirpPool(server, CONNECTIONS);
    const isGiven = server.auth !== undefined || server.tickets !== undefined;
    this.#login = isGiven || !isLocal ? 'chosen' : 'to be chosen';
  }

  /** The connections to use for one operation. */
  async pool(signal: AbortSignal | undefined): Promise<ChirpPool> {
    if (this.#login === 'to be chosen') await this.#choose(signal);
    return this.#pool;
  }

  /** Looks again at the next operation if nothing was allowed: somebody may have given the rights meanwhile. */
  reconsider(): void {
    if (this.#login === 'found useless') this.#login = 'to be chosen';
  }

  async close(): Promise<void> {
    await this.#pool.close();
  }

  /** Concurrent operations choose each for itself, so that the abort of one is no failure of another. */
  async #choose(signal: AbortSignal | undefined): Promise<void> {
    const method = await chooseLogin(this.#server, this.#root, signal);
    if (this.#login !== 'to be chosen') return;
    this.#login = method === undefined ? 'found useless' : 'chosen';
    if (method === undefined || method === DEFAULT_METHODS[0]) return;
    const others = DEFAULT_METHODS.filter((other) => other !== method);
    const before = this.#pool;
    this.#pool = new ChirpPool({ ...this.#server, auth: [method, ...others] }, CONNECTIONS);
    await before.close();
  }
}
