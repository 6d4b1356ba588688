/** Objects of one run directory: for the incarnation that owns it, and for those who only look. */
import type { Driver, DriverOptions, Entry, PutOptions } from './driver.ts';
import { findRun, type RunPath } from './fence.ts';
import { fenced, isStoreError, notFound, unreachable } from './store-error.ts';

/** Reading access. */
export interface ObjectSource {
  readonly jobId: string;
  pathOf(name: string): string;
  list(options?: DriverOptions): Promise<readonly Entry[]>;
  get(name: string, offset: number, length: number, options?: DriverOptions): Promise<Uint8Array>;
}

/** The run directory of a claim. A path that is gone means ERR_STORE_FENCED. */
export class RunDirectory implements ObjectSource {
  readonly jobId: string;
  readonly epoch: number;
  readonly #driver: Driver;
  readonly #path: string;

  constructor(driver: Driver, jobId: string, run: RunPath) {
    this.#driver = driver;
    this.jobId = jobId;
    this.epoch = run.epoch;
    this.#path = run.path;
  }

  pathOf(name: string): string {
    return `${this.#path}/${name}`;
  }

  async list(options?: DriverOptions): Promise<readonly Entry[]> {
    return await this.#fence(options, async () => {
      const entries = await this.#driver.list(this.#path, options);
      if (entries === undefined) throw notFound(this.#path, { path: this.#path });
      return entries;
    });
  }

  async get(name: string, offset: number, length: number, options?: DriverOptions): Promise<Uint8Array> {
    return await this.#fence(options, () => this.#driver.get(this.pathOf(name), offset, length, options));
  }

  async put(name: string, data: Uint8Array, options?: PutOptions): Promise<void> {
    await this.#fence(options, () => this.#driver.put(this.pathOf(name), data, options));
  }

  async add(name: string, data: Uint8Array, options?: PutOptions): Promise<void> {
    await this.#fence(options, () => this.#driver.add(this.pathOf(name), data, options));
  }

  async remove(name: string, options?: DriverOptions): Promise<void> {
    await this.#fence(options, async () => {
      if (!(await this.#driver.remove(this.pathOf(name), options))) await this.check(options);
    });
  }

  async check(options?: DriverOptions): Promise<void> {
    if ((await this.#driver.stat(this.#path, options)) !== undefined) return;
    // A root that is gone is an unmounted directory, not a newer incarnation.
    if ((await this.#driver.stat('', options)) === undefined) throw unreachable(`${this.#driver.url} has disappeared`);
    throw fenced(this.jobId, this.#path);
  }

  async #fence<T>(options: DriverOptions | undefined, operation: () => Promise<T>): Promise<T> {
    try {
      return await operation();
    } catch (error) {
      // Chirp answers "not authorized" below a directory that is gone.
      if (isStoreError(error, 'NOT_FOUND', 'DENIED')) await this.check(options);
      throw error;
    }
  }
}

/** Follows the job through claims by others: reading goes on in the new run directory. */
export class FollowedRun implements ObjectSource {
  readonly jobId: string;
  readonly #driver: Driver;
  #run: RunPath;

  constructor(driver: Driver, jobId: string, run: RunPath) {
    this.#driver = driver;
    this.jobId = jobId;
    this.#run = run;
  }

  get epoch(): number {
    return this.#run.epoch;
  }

  pathOf(name: string): string {
    return `${this.#run.path}/${name}`;
  }

  async list(options?: DriverOptions): Promise<readonly Entry[]> {
    return await this.#follow(options, async () => {
      const entries = await this.#driver.list(this.#run.path, options);
      if (entries === undefined) throw notFound(this.#run.path, { path: this.#run.path });
      return entries;
    });
  }

  async get(name: string, offset: number, length: number, options?: DriverOptions): Promise<Uint8Array> {
    return await this.#follow(options, () => this.#driver.get(this.pathOf(name), offset, length, options));
  }

  async #follow<T>(options: DriverOptions | undefined, operation: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await operation();
      } catch (error) {
        if (!isStoreError(error, 'NOT_FOUND', 'DENIED')) throw error;
        const moved = await findRun(this.#driver, this.jobId, options);
        if (moved === undefined) throw notFound(`job ${JSON.stringify(this.jobId)}`, { cause: error });
        if (moved.path === this.#run.path) throw error;
        this.#run = moved;
      }
    }
  }
}
