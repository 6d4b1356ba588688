/** The entry point: a store behind a URL. */

import { jobKey } from './cipher.ts';
import { type ClaimContext, claimJob } from './claim.ts';
import { codecNamed } from './codec.ts';
import { DirectoryDriver } from './directory.ts';
import type { Driver } from './driver.ts';
import { removeJob } from './fence.ts';
import { inspectJob, listJobs } from './job-view.ts';
import { jobDirectory } from './names.ts';
import { badArgument, badUrl, closed } from './store-error.ts';
import type { Claim, JobSummary, JobView, OperationOptions, Store, StoreOptions } from './types.ts';

/**
 * Opens a store. Nothing is contacted yet; the first claim makes the directory when it is missing (for `file:` its parent must exist).
 * @param url `file:///directory`, or `chirp://host[:port]/path` (port 9094 by default).
 * @param options Key, compression, authentication, time-out.
 * @throws {StoreError} ERR_STORE_URL, ERR_STORE_ARGUMENT.
 * @example
 * await using store = await openStore('chirp://storage.example.org:9094/checkpoints');
 * await using claim = await store.claim('schedd#1234.0');
 * console.log(await claim.checkpoints());
 */
export async function openStore(url: string, options: StoreOptions = {}): Promise<Store> {
  if (options.key !== undefined && options.key.length !== 32) {
    throw badArgument(`the key has ${options.key.length} bytes; AES-256-GCM needs exactly 32`);
  }
  return new DriverStore(await openDriver(url, options), options);
}

async function openDriver(url: string, options: StoreOptions): Promise<Driver> {
  let protocol: string;
  try {
    protocol = new URL(url).protocol;
  } catch {
    throw badUrl(url, 'it is not a URL');
  }
  if (protocol === 'file:') return new DirectoryDriver(url);
  // Loaded when it is wanted: a third of all modules of a wrapper that stores in a directory.
  if (protocol === 'chirp:') return (await import('./chirp.ts')).openChirpDriver(url, options);
  throw badUrl(url, `${protocol} is not known`);
}

class DriverStore implements Store {
  readonly url: string;
  readonly #driver: Driver;
  readonly #options: StoreOptions;
  #isClosed = false;

  constructor(driver: Driver, options: StoreOptions) {
    this.url = driver.url;
    this.#driver = driver;
    this.#options = { ...options, codec: codecNamed(options.codec ?? (driver.isLocal ? 'none' : 'brotli')) };
  }

  async claim(jobId: string, options: OperationOptions = {}): Promise<Claim> {
    jobDirectory(jobId);
    const context: ClaimContext = {
      driver: this.#open(options),
      key: this.#key(jobId),
      codec: this.#options.codec ?? 'none',
    };
    return await claimJob(context, jobId, options);
  }

  async inspect(jobId: string, options: OperationOptions = {}): Promise<JobView | undefined> {
    jobDirectory(jobId);
    return await inspectJob(this.#open(options), this.#key(jobId), jobId, options);
  }

  async list(options: OperationOptions = {}): Promise<readonly JobSummary[]> {
    return await listJobs(this.#open(options), options);
  }

  async remove(jobId: string, options: OperationOptions = {}): Promise<boolean> {
    return await removeJob(this.#open(options), jobId, options);
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.#driver.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #open({ signal }: OperationOptions): Driver {
    signal?.throwIfAborted();
    if (this.#isClosed) throw closed(`store ${this.url}`);
    return this.#driver;
  }

  #key(jobId: string): Uint8Array | undefined {
    return this.#options.key === undefined ? undefined : jobKey(this.#options.key, jobId);
  }
}
