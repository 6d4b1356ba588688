/** `client.xattr` */

import type { Run } from './commands/command.ts';
import { getxattr, listxattr, removexattr, setxattr } from './commands/xattr.ts';
import type { ChirpPath, RequestOptions } from './types.ts';
import type { PathRules } from './wire/path.ts';

/** Extended attributes, as far as the server's file system has them; errors and concurrency as for all methods of ChirpClient. */
export class ExtendedAttributes {
  readonly #run: Run;
  readonly #rules: PathRules;

  constructor(run: Run, rules: PathRules) {
    this.#run = run;
    this.#rules = rules;
  }

  /** Value of an attribute; a missing one is CHIRP_UNKNOWN. */
  async get(path: ChirpPath, attribute: string, options?: RequestOptions): Promise<Buffer> {
    return this.#run(getxattr(path, attribute, this.#rules), options);
  }

  /** Names of all attributes. */
  async list(path: ChirpPath, options?: RequestOptions): Promise<string[]> {
    return this.#run(listxattr(path, this.#rules), options);
  }

  /** Sets or replaces an attribute (on Linux below `user.`), at most 16 MiB. */
  async set(path: ChirpPath, attribute: string, value: Uint8Array, options?: RequestOptions): Promise<void> {
    return this.#run(setxattr(path, attribute, value, this.#rules), options);
  }

  /** Removes an attribute. Not idempotent. */
  async remove(path: ChirpPath, attribute: string, options?: RequestOptions): Promise<void> {
    return this.#run(removexattr(path, attribute, this.#rules), options);
  }
}
