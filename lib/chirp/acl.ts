/** `client.acl` */

import { getacl, resetacl, setacl } from './commands/acl.ts';
import type { Run } from './commands/command.ts';
import type { ChirpAclEntry, ChirpPath, RequestOptions } from './types.ts';
import type { PathRules } from './wire/path.ts';

/** Access control lists of directories; errors and concurrency as for all methods of ChirpClient. */
export class Acl {
  readonly #run: Run;
  readonly #rules: PathRules;

  constructor(run: Run, rules: PathRules) {
    this.#run = run;
    this.#rules = rules;
  }

  /** Entries of a directory, as the server orders them. CHIRP_NOT_DIRECTORY for a file. Needs no right. */
  async get(directory: ChirpPath, options?: RequestOptions): Promise<ChirpAclEntry[]> {
    return this.#run(getacl(directory, this.#rules), options);
  }

  /**
   * Sets the rights of one subject (`method:name`, `*` matches anything). Needs right a.
   * @param rights Letters of rwldpax, v or v(…); `n` removes the entry.
   */
  async set(directory: ChirpPath, subject: string, rights: string, options?: RequestOptions): Promise<void> {
    return this.#run(setacl(directory, subject, rights, this.#rules), options);
  }

  /** Removes all entries and gives the caller `rights` (and a). Needs right a. */
  async reset(directory: ChirpPath, rights: string, options?: RequestOptions): Promise<void> {
    return this.#run(resetacl(directory, rights, this.#rules), options);
  }
}
