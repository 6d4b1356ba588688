/** The way to the store: opening it, claiming the job, and trying again while it cannot be reached. */

import { JobError } from '../errors.ts';
import type { Claim, Store } from '../store/types.ts';
import { type Clock, sleep } from '../util/clock.ts';
import { errorCode, isRetriable } from '../util/error-facts.ts';
import { backoffMs } from '../util/retry.ts';
import { EXIT_CODES } from './exit-status.ts';

/** A store that is not there is asked again after 1 s, 2 s, … at most this. */
const LONGEST_PAUSE_MS = 60_000;

export interface ConnectionOptions {
  readonly id: string;
  /** Opens the store; called again after it has failed. */
  readonly open: () => Promise<Store>;
  /** The store is closed with the connection. */
  readonly owned: boolean;
  readonly clock: Clock;
}

export type RetryListener = (error: unknown, pauseMs: number) => void;

export class StoreConnection implements AsyncDisposable {
  readonly #options: ConnectionOptions;
  #store: Store | undefined;
  #claim: Claim | undefined;

  constructor(options: ConnectionOptions) {
    this.#options = options;
  }

  /** This incarnation's right to write, once it has one. */
  get claim(): Claim | undefined {
    return this.#claim;
  }

  get url(): string {
    return this.#store?.url ?? '';
  }

  /** Opens the store without asking it anything, so that a wrong address is known before anything is started. */
  async prepare(): Promise<void> {
    await this.#openStore(undefined);
  }

  /** One try. Takes the job over from any older incarnation. */
  async connect(signal?: AbortSignal): Promise<Claim> {
    const store = await this.#openStore(signal);
    this.#claim ??= await store.claim(this.#options.id, signal === undefined ? {} : { signal });
    return this.#claim;
  }

  /**
   * Tries until it works or `waitMs` milliseconds are over; only errors that call themselves retriable are tried again.
   * @throws the last error.
   */
  async connectWithin(waitMs: number, onRetry: RetryListener, signal?: AbortSignal): Promise<Claim> {
    return await this.retryWithin(waitMs, () => this.connect(signal), onRetry, signal);
  }

  /** As connectWithin, for any operation that may be repeated. */
  async retryWithin<T>(
    waitMs: number,
    operation: () => Promise<T>,
    onRetry: RetryListener,
    signal?: AbortSignal,
  ): Promise<T> {
    const { clock } = this.#options;
    const deadline = clock.now() + waitMs;
    for (let attempt = 1; ; attempt += 1) {
      signal?.throwIfAborted();
      try {
        return await operation();
      } catch (error) {
        const pauseMs = this.#pauseMs(attempt);
        if (!isRetriable(error) || clock.now() + pauseMs > deadline) throw error;
        onRetry(error, pauseMs);
        await sleep(clock, pauseMs, signal);
      }
    }
  }

  /**
   * For a job that was started without having seen its store: keeps trying until it has a claim.
   * @param isFresh The job was to start from the beginning in any case.
   * @throws {JobError} `ERR_JOB_BLIND_START` when the store turns out to hold checkpoints of this job: it must go on from those instead.
   */
  async connectLate(onRetry: RetryListener, signal: AbortSignal, isFresh: boolean): Promise<Claim> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        const store = await this.#openStore(signal);
        const view = isFresh ? undefined : await store.inspect(this.#options.id, { signal });
        if (view !== undefined && (view.summary.checkpoints > 0 || view.summary.finished))
          throw blindStart(this.#options.id);
        return await this.connect(signal);
      } catch (error) {
        signal.throwIfAborted();
        if (errorCode(error) === 'ERR_JOB_BLIND_START') throw error;
        const pauseMs = this.#pauseMs(attempt);
        onRetry(error, pauseMs);
        await sleep(this.#options.clock, pauseMs, signal);
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#claim?.[Symbol.asyncDispose]();
    if (this.#options.owned) await this.#store?.close();
  }

  async #openStore(signal: AbortSignal | undefined): Promise<Store> {
    signal?.throwIfAborted();
    this.#store ??= await this.#options.open();
    return this.#store;
  }

  #pauseMs(attempt: number): number {
    return backoffMs(attempt, { baseMs: 1000, maxMs: LONGEST_PAUSE_MS });
  }
}

const blindStart = (id: string): JobError =>
  new JobError(
    `The store could not be reached when ${id} was started, and holds checkpoints of it: this start from the beginning gives way, run the job again`,
    { code: 'ERR_JOB_BLIND_START', exitCode: EXIT_CODES.temporary },
  );
