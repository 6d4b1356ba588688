/** Carries out what the policy decides: timers, the checkpoint being taken, and those who wait for one. */

import { JobError } from '../errors.ts';
import type { Clock, Timer } from '../util/clock.ts';
import { createDeferred, type Deferred } from '../util/deferred.ts';
import {
  type CheckpointReason,
  decide,
  initialState,
  type PolicyAction,
  type PolicyEvent,
  type PolicyOptions,
  type PolicyState,
} from './policy.ts';
import type { UploadProgress } from './prediction.ts';

/** What a finished checkpoint tells the policy. */
export interface Stored {
  /** Bytes of context and files. */
  readonly bytes: number;
}

export interface SchedulerTasks<T extends Stored> {
  /** Takes and stores one checkpoint. Never called again before its promise settled. Must stop soon after `signal` fires. */
  checkpoint(reason: CheckpointReason, signal: AbortSignal, onProgress: (progress: UploadProgress) => void): Promise<T>;
  /** The eviction is over: called once. */
  stop(): void;
}

interface Waiter<T> {
  readonly deferred: Deferred<T>;
  /** Number of the checkpoint that answers it: the first that began after the request. */
  readonly from: number;
}

export class Scheduler<T extends Stored> {
  readonly #options: PolicyOptions;
  readonly #clock: Clock;
  readonly #tasks: SchedulerTasks<T>;
  readonly #random: () => number;
  #state: PolicyState = initialState;
  #timer: Timer | undefined;
  #abort: AbortController | undefined;
  #active: Promise<void> = Promise.resolve();
  #begun = 0;
  #waiters: Waiter<T>[] = [];

  constructor(options: PolicyOptions, clock: Clock, tasks: SchedulerTasks<T>, random: () => number = Math.random) {
    this.#options = options;
    this.#clock = clock;
    this.#tasks = tasks;
    this.#random = random;
  }

  get isVacating(): boolean {
    return this.#state.phase === 'vacating';
  }

  start(): void {
    this.#dispatch({ type: 'start', at: this.#clock.now(), random: this.#random() });
  }

  /**
   * A checkpoint taken after this call. Aborting stops the waiting, not the checkpoint: it may serve others.
   * @throws {JobError} `ERR_JOB_OVER` when the job ended, or is being evicted, before one could begin; else whatever the checkpoint failed with.
   */
  request(signal?: AbortSignal): Promise<T> {
    if (signal?.aborted) return Promise.reject(signal.reason);
    if (this.#state.phase !== 'running') return Promise.reject(overError());
    const deferred = createDeferred<T>();
    const waiter = { deferred, from: this.#begun + 1 };
    this.#waiters.push(waiter);
    const onAbort = (): void => {
      this.#waiters = this.#waiters.filter((other) => other !== waiter);
      deferred.reject(signal?.reason);
    };
    signal?.addEventListener('abort', onAbort, { once: true });
    this.#dispatch({ type: 'request', at: this.#clock.now() });
    return deferred.promise.finally(() => signal?.removeEventListener('abort', onAbort));
  }

  /** Evicts: one last checkpoint before `deadlineMs` milliseconds from now are over, then `stop`. Later calls change nothing. */
  vacate(deadlineMs: number): void {
    const at = this.#clock.now();
    this.#dispatch({ type: 'vacate', at, deadline: at + deadlineMs });
  }

  /** The job has ended: nothing more is begun, what runs is abandoned. Resolves when nothing is under way any more. */
  async end(): Promise<void> {
    this.#dispatch({ type: 'ended', at: this.#clock.now() });
    this.#timer?.cancel();
    await this.#active;
    for (const waiter of this.#waiters.splice(0)) waiter.deferred.reject(overError());
  }

  #dispatch(event: PolicyEvent): void {
    const { state, actions } = decide(this.#state, event, this.#options);
    this.#state = state;
    for (const action of actions) this.#carryOut(action);
  }

  #carryOut(action: PolicyAction): void {
    switch (action.type) {
      case 'begin':
        this.#active = this.#run(action.reason);
        break;
      case 'abandon':
        this.#abort?.abort(new JobError('The checkpoint was given up', { code: 'ERR_JOB_ABANDONED' }));
        break;
      case 'stop':
        this.#timer?.cancel();
        this.#tasks.stop();
        break;
      case 'wake':
        this.#timer?.cancel();
        this.#timer = Number.isFinite(action.at)
          ? this.#clock.startTimer(action.at - this.#clock.now(), () =>
              this.#dispatch({ type: 'wake', at: this.#clock.now() }),
            )
          : undefined;
        break;
    }
  }

  async #run(reason: CheckpointReason): Promise<void> {
    const number = ++this.#begun;
    const abort = new AbortController();
    this.#abort = abort;
    try {
      const stored = await this.#tasks.checkpoint(reason, abort.signal, (progress) => {
        if (this.#abort === abort) this.#dispatch({ type: 'progress', at: this.#clock.now(), ...progress });
      });
      this.#abort = undefined;
      this.#settle(number, (waiter) => waiter.resolve(stored));
      this.#dispatch({ type: 'stored', at: this.#clock.now(), random: this.#random(), bytes: stored.bytes });
    } catch (error) {
      this.#abort = undefined;
      this.#settle(number, (waiter) => waiter.reject(error));
      this.#dispatch({ type: 'failed', at: this.#clock.now(), random: this.#random() });
    }
  }

  #settle(number: number, settle: (waiter: Deferred<T>) => void): void {
    const answered = this.#waiters.filter((waiter) => waiter.from <= number);
    this.#waiters = this.#waiters.filter((waiter) => waiter.from > number);
    for (const { deferred } of answered) settle(deferred);
  }
}

const overError = (): JobError =>
  new JobError('The job has ended or is being evicted: no further checkpoint is taken on request', {
    code: 'ERR_JOB_OVER',
  });
