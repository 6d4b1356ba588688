/** A job: a program that is checkpointed into a store and goes on elsewhere when its node is lost. */

import { JobError } from '../errors.ts';
import { Scheduler } from '../schedule/scheduler.ts';
import type { Claim } from '../store/types.ts';
import { within } from '../util/clock.ts';
import { createDeferred } from '../util/deferred.ts';
import { errorCode, errorMessage } from '../util/error-facts.ts';
import { Checkpointer, type TakenCheckpoint } from './checkpointing.ts';
import { settle } from './ending.ts';
import type { RunningProcess } from './engine.ts';
import type { CheckpointEvent, JobEventName, JobListener } from './events.ts';
import { endOf, type JobEnd } from './exit-status.ts';
import { batchVacateMs } from './incarnation.ts';
import { planMemory } from './memory-limit.ts';
import { type Beginning, begin } from './open.ts';
import { type JobOptions, resolveOptions } from './options.ts';
import { Patience } from './patience.ts';
import { type JobFoundations, openSession, type Session } from './session.ts';
import { watchStore } from './store-watch.ts';
import { systemFoundations } from './system.ts';

const DEFAULT_VACATE_MS = 600_000;
/** A checkpoint of a job that has just ended fails; its end may be reported a little later. */
const END_REPORT_MS = 500;

const POLICY = { jitter: 0.1, retryMs: 2000, retryMaxMs: 300_000 } as const;

/**
 * @example
 * await using job = await Job.open({ id: 'simulation-7', store: 'file:///shared/checkpoints', command: './simulate', args: ['7'], every: '30m' });
 * job.on('checkpoint', ({ sequence, stopUs }) => console.log(`checkpoint ${sequence}: the program stood still for ${stopUs} µs`));
 * const { reason, exitCode } = await job.done;
 */
export class Job implements AsyncDisposable {
  /**
   * How the job ended. Rejects with {JobError} `ERR_JOB_BLIND_START` when the store, unreachable at the start, turned out to hold
   * checkpoints of this job: the program was stopped, run the job again.
   */
  readonly done: Promise<JobEnd>;
  readonly #session: Session;
  readonly #process: RunningProcess | undefined;
  readonly #scheduler: Scheduler<TakenCheckpoint> | undefined;
  readonly #end = createDeferred<JobEnd>();
  readonly #background = new AbortController();
  readonly #begunAt: number;
  readonly #runtimeBefore: number;
  #reason: 'vacated' | 'fenced' | JobError | undefined;
  readonly #patience: Patience;
  #isVacating = false;
  #isOver = false;

  private constructor(session: Session, beginning: Beginning) {
    this.#session = session;
    this.#begunAt = session.clock.now();
    this.#patience = new Patience(session.clock);
    this.done = this.#end.promise;
    this.done.catch(() => undefined); // whoever awaits it sees it; nobody has to
    if (beginning.kind === 'finished') {
      this.#runtimeBefore = 0;
      void this.#close(() => this.#end.resolve(beginning.end), beginning.end);
      return;
    }
    this.#runtimeBefore = beginning.runtimeMs;
    this.#process = beginning.process;
    this.#scheduler = this.#schedule(beginning.process);
    void beginning.process.exit.then((status) => this.#finish(status));
    session.onStoreRequest.resolve(() => this.#takeForProgram());
    this.#scheduler.start();
    void this.#watchStore();
  }

  /**
   * Resumes the job from its newest checkpoint that can be restarted, or starts it when the store has none. The program is a child of this
   * process, and is killed when this process ends without having waited for it.
   *
   * A store that cannot be reached does not keep a first run from starting; a later run (known from the batch system or a note in the
   * scratch directory) waits for it, rather than start from the beginning.
   *
   * @throws {UsageError} for wrong options or a program that is not there: nothing was started.
   * @throws {JobError} with the `exitCode` that a batch system should see: `ERR_JOB_NODE` and `ERR_JOB_STORE` 75, `ERR_JOB_UNRESTARTABLE` and
   * `ERR_JOB_CHANGED` 86. Nothing was deleted.
   */
  static async open(options: JobOptions, foundations: JobFoundations = systemFoundations): Promise<Job> {
    const resolved = resolveOptions(options);
    resolved.signal?.throwIfAborted();
    const session = await openSession(resolved, options.onEvent, foundations);
    try {
      return new Job(session, await begin(session));
    } catch (error) {
      await session.close(false);
      throw error;
    }
  }

  get id(): string {
    return this.#session.options.id;
  }

  /** The child that stands for the job; undefined when it was over before this run. */
  get pid(): number | undefined {
    return this.#process?.pid;
  }

  on<Name extends JobEventName>(name: Name, listener: JobListener<Name>): this {
    this.#session.events.on(name, listener);
    return this;
  }

  off<Name extends JobEventName>(name: Name, listener: JobListener<Name>): this {
    this.#session.events.off(name, listener);
    return this;
  }

  /**
   * Takes a checkpoint now, or right after the one that is being taken. Resolves when it is in the store. May be called concurrently.
   * @param options.signal Stops the waiting; the program is not harmed.
   * @throws {JobError} `ERR_JOB_OVER`, `ERR_JOB_NOT_CONNECTED`; the engine's or the store's error. The program runs on.
   */
  async checkpoint(options: { readonly signal?: AbortSignal } = {}): Promise<CheckpointEvent> {
    if (this.#scheduler === undefined) throw new JobError('The job is over', { code: 'ERR_JOB_OVER' });
    const { bytes: _bytes, ...event } = await this.#scheduler.request(options.signal);
    return event;
  }

  /**
   * Evicts the job: a last checkpoint, which leaves it stopped, and its end once that is stored. At the deadline it is killed in any case; the
   * checkpoint before stays. A program that ends by itself meanwhile keeps its own result. Later calls change nothing.
   * @param options.deadlineMs Milliseconds from now. Default: the option `vacateMs`, else what the batch system allows, else 600000.
   */
  async vacate(options: { readonly deadlineMs?: number } = {}): Promise<JobEnd> {
    if (!this.#isVacating && !this.#isOver && this.#scheduler !== undefined) {
      const { vacateMs, env } = this.#session.options;
      const deadlineMs = options.deadlineMs ?? vacateMs ?? batchVacateMs(env) ?? DEFAULT_VACATE_MS;
      this.#isVacating = true;
      this.#patience.evict(deadlineMs);
      this.#session.events.emit('vacating', { deadlineMs });
      this.#scheduler.vacate(deadlineMs);
    }
    return await this.done;
  }

  /** Passes a signal on to the program. */
  signal(name: NodeJS.Signals): void {
    this.#process?.signal(name);
  }

  /** Leaving the scope of a running job evicts it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.vacate().catch(() => undefined); // `done` tells whoever cares
  }

  /** A program of the job asks. While it is being stopped it hears nothing: what it would make of an error would be lost, or be its end. */
  async #takeForProgram(): Promise<void> {
    await this.checkpoint().catch(async (error: unknown) => {
      if (!this.#isVacating && !this.#isOver && this.#reason === undefined) throw error;
      await this.done;
    });
  }

  #schedule(process: RunningProcess): Scheduler<TakenCheckpoint> {
    const { options, clock, random, engine, scratch, stdio, identity, events } = this.#session;
    const checkpointer = new Checkpointer({
      ...{ engine, process, scratch, stdio, identity, events, clock },
      ...{ cwd: options.cwd, keep: options.keep, maxRate: options.maxRate, tcp: options.tcp, unix: options.unix },
      plan: () => planMemory(options.env, options.snapshot),
      save: options.save,
      isAlwaysLast: options.exitAfterCheckpoint,
      runtimeMs: () => this.#runtimeMs(),
      claim: () => this.#claim(),
    });
    const { firstMs, everyMs, exitAfterCheckpoint: leaves } = options;
    const policy = { ...POLICY, firstMs, everyMs, leaves };
    const tasks = {
      checkpoint: async (...args: Parameters<Checkpointer['take']>): Promise<TakenCheckpoint> => {
        try {
          return await checkpointer.take(...args);
        } catch (error) {
          await this.#onCheckpointFailed(error);
          throw error;
        }
      },
      stop: () => this.#stop('vacated'),
    };
    return new Scheduler<TakenCheckpoint>(policy, clock, tasks, random);
  }

  #runtimeMs(): number {
    return Math.round(this.#runtimeBefore + this.#session.clock.now() - this.#begunAt);
  }

  #claim(): Claim {
    const { claim } = this.#session.connection;
    if (claim !== undefined) return claim;
    throw new JobError('The store has not been reached yet', { code: 'ERR_JOB_NOT_CONNECTED', retriable: true });
  }

  async #onCheckpointFailed(error: unknown): Promise<void> {
    if (errorCode(error) === 'ERR_STORE_FENCED') {
      this.#stop('fenced');
      return;
    }
    if (errorCode(error) === 'ERR_JOB_ABANDONED') return;
    const { clock } = this.#session;
    const ended = this.#process?.exit.then(() => true) ?? Promise.resolve(true);
    if ((await within(clock, END_REPORT_MS, ended)) === true) return; // its own end is what is to be told
    this.#warn(error, 'the job runs on; another checkpoint is tried soon');
  }

  #warn(error: unknown, consequence: string): void {
    this.#session.events.emit('warning', { code: errorCode(error), message: errorMessage(error), consequence, error });
  }

  /** First reason wins; a job that has ended by itself keeps that. */
  #stop(reason: 'vacated' | 'fenced' | JobError): void {
    if (this.#isOver || this.#reason !== undefined) return;
    this.#reason = reason;
    this.#process?.kill();
  }

  async #watchStore(): Promise<void> {
    const reason = await watchStore(this.#session, this.#background.signal, (error) =>
      this.#warn(error, 'the job runs on without checkpoints'),
    );
    if (reason !== undefined) this.#stop(reason);
  }

  async #finish(status: Parameters<typeof endOf>[0]): Promise<void> {
    this.#isOver = true;
    this.#background.abort();
    const { clock, connection } = this.#session;
    if (this.#scheduler !== undefined) await within(clock, this.#patience.forCleaning(), this.#scheduler.end());
    const reason = this.#reason;
    if (reason instanceof JobError) return await this.#close(() => this.#end.reject(reason), undefined);
    const end: JobEnd = reason === undefined ? endOf(status) : { reason, exitCode: undefined, signal: undefined };
    if (reason === undefined) {
      await settle(this.#session, connection.claim, status, this.#isVacating, this.#patience.forResult());
    }
    await this.#close(() => this.#end.resolve(end), end);
  }

  async #close(report: () => void, end: JobEnd | undefined): Promise<void> {
    this.#isOver = true;
    if (end !== undefined) this.#session.events.emit('ended', { ...end, runtimeMs: this.#runtimeMs() });
    const isOver = end?.reason === 'exited' || end?.reason === 'signaled';
    await this.#session.close(isOver, this.#patience.forCleaning());
    report();
  }
}
