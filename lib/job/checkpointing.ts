/** One checkpoint from request to store: the engine writes the context into a pipe, the store reads it, nothing is published before both agree. */

import { constants, hostname } from 'node:os';
import { type CarriedKind, carriedFlags } from '../checkpoint/carried-files.ts';
import type { CheckpointResult } from '../checkpoint/types.ts';
import { JobError } from '../errors.ts';
import type { CheckpointReason } from '../schedule/policy.ts';
import type { UploadProgress } from '../schedule/prediction.ts';
import type { CheckpointRecord, CheckpointSummary, Claim, JobIdentity } from '../store/types.ts';
import type { Clock } from '../util/clock.ts';
import { errorCode, errorMessage } from '../util/error-facts.ts';
import type { Engine, RunningProcess } from './engine.ts';
import type { CheckpointEvent, JobEvents } from './events.ts';
import type { MemoryPlan } from './memory-limit.ts';
import { MemoryWatch } from './memory-watch.ts';
import type { Capture, ScratchFiles } from './scratch.ts';
import type { JobStdio } from './stdio.ts';

export interface CheckpointerParts {
  readonly engine: Engine;
  readonly process: RunningProcess;
  readonly scratch: ScratchFiles;
  readonly stdio: JobStdio;
  readonly identity: JobIdentity;
  readonly events: JobEvents;
  readonly clock: Clock;
  readonly cwd: string;
  readonly keep: number;
  readonly tcp: 'refuse' | 'close';
  readonly unix: 'refuse' | 'close';
  readonly plan: () => MemoryPlan;
  /** Bytes per second. */
  readonly maxRate: number | undefined;
  /** Every checkpoint leaves the program stopped, not only an eviction's. */
  readonly isAlwaysLast: boolean;
  readonly save: readonly CarriedKind[];
  /** Milliseconds of run time until now, over all incarnations. */
  readonly runtimeMs: () => number;
  /** Throws when there is no claim yet. */
  readonly claim: () => Claim;
}

/** What the scheduler is told. */
export type TakenCheckpoint = CheckpointEvent & { readonly bytes: number };

/** Errors of a context whose reader has gone away: the reader's own error says more. */
const READER_GONE = new Set(['EPIPE', 'ECANCELED', 'ABORT_ERR']);

export class Checkpointer {
  readonly #parts: CheckpointerParts;

  constructor(parts: CheckpointerParts) {
    this.#parts = parts;
  }

  /**
   * Takes and stores one checkpoint. For the last one (reason `vacate`) the program is left stopped when it succeeds, and runs on when it does not.
   * @param signal Gives it up: the program is not harmed, the previous checkpoints stay.
   * @throws the engine's or the store's error, whichever came first.
   */
  async take(
    reason: CheckpointReason,
    signal: AbortSignal,
    onProgress: (progress: UploadProgress) => void,
  ): Promise<TakenCheckpoint> {
    const { clock, scratch, claim, events } = this.#parts;
    const begun = clock.now();
    const target = claim();
    const capture = await scratch.prepareCapture();
    try {
      const { result, summary, runtimeMs } = await this.#write(reason, capture, target, signal, onProgress);
      await capture.commit();
      const event: CheckpointEvent = {
        ...describe(reason, result, summary),
        totalMs: Math.round(clock.now() - begun),
        runtimeMs,
      };
      events.emit('checkpoint', event);
      await this.#retain(target);
      return { ...event, bytes: summary.contextBytes + summary.fileBytes };
    } finally {
      await capture.discard();
    }
  }

  async #write(
    reason: CheckpointReason,
    capture: Capture,
    claim: Claim,
    given: AbortSignal,
    onProgress: (progress: UploadProgress) => void,
  ): Promise<{ result: CheckpointResult; summary: CheckpointSummary; runtimeMs: number }> {
    const { engine, process, plan, maxRate, isAlwaysLast, save, tcp, unix, runtimeMs, events, clock } = this.#parts;
    given.throwIfAborted();
    const isLast = reason === 'vacate' || isAlwaysLast;
    const { snapshot, bufferBytes, isOver } = plan();
    const memory = new MemoryWatch(clock, isLast ? undefined : isOver);
    const signal = AbortSignal.any([given, memory.signal]);
    const pending = engine.checkpoint({
      target: process.target,
      scope: 'tree',
      to: 'pipe',
      // What ran on after the last checkpoint would be done twice: the program stops with it.
      signal: isLast ? constants.signals.SIGSTOP : 0,
      snapshot: isLast ? 'plain' : snapshot,
      ...{ tcp, unix },
      abort: signal,
      flags: carriedFlags(save),
      ...(capture.options === undefined ? {} : { capture: capture.options }),
    });
    memory.until(pending.done);
    const runtime = runtimeMs();
    const order: unknown[] = [];
    const note = (error: unknown): never => {
      order.push(error);
      throw error;
    };
    let result: CheckpointResult | undefined;
    const complete = pending.done.then((value) => {
      result = value;
      return value;
    }, note);
    complete.catch(() => undefined); // reported through the store's promise as well
    if (pending.context === undefined) throw new JobError('The engine gave no stream', { code: 'ERR_JOB_INTERNAL' });
    const written = claim
      .write(
        {
          contextFd: pending.context,
          complete,
          files: () => capture.entries(),
          record: () => this.#record(reason, runtime, result),
        },
        {
          signal,
          // An eviction has a deadline, and no time for manners.
          maxRate: isLast ? undefined : maxRate,
          bufferBytes,
          onProgress: ({ bytes, shipped, queued = 0 }) => {
            onProgress({ bytes, shipped, queued });
            events.emit('progress', { reason, bytes, shipped });
          },
          onRetry: (error, delayMs) =>
            events.emit('warning', {
              code: errorCode(error),
              message: errorMessage(error),
              consequence: `the upload is tried again in ${(delayMs / 1000).toFixed(1)} s; the job runs on`,
              error,
            }),
        },
      )
      .catch(note);
    const [engineEnd, storeEnd] = await Promise.allSettled([complete, written]);
    if (engineEnd.status === 'fulfilled' && storeEnd.status === 'fulfilled') {
      return { result: engineEnd.value, summary: storeEnd.value, runtimeMs: runtime };
    }
    if (isLast && engineEnd.status === 'fulfilled') process.signalAll('SIGCONT');
    throw chooseError(order, signal);
  }

  #record(reason: CheckpointReason, runtimeMs: number, result: CheckpointResult | undefined): CheckpointRecord {
    const { identity, engine, scratch, cwd, stdio } = this.#parts;
    const { log: _log, warnings: _warnings, ...facts } = result ?? { log: '', warnings: [] };
    return {
      identity,
      provider: engine.kind,
      host: hostname(),
      scratch: scratch.root,
      ...(scratch.earlier.length === 0 ? {} : { earlierScratch: scratch.earlier }),
      cwd,
      reason,
      runtimeMs,
      engine: { ...facts, ...stdio.facts() },
    };
  }

  /** Old checkpoints that stay cost space, nothing else. */
  async #retain(claim: Claim): Promise<void> {
    try {
      await claim.retain(this.#parts.keep);
    } catch (error) {
      if (errorCode(error) === 'ERR_STORE_FENCED') throw error;
      this.#parts.events.emit('warning', {
        code: errorCode(error),
        message: errorMessage(error),
        consequence: 'older checkpoints could not be removed from the store; this is tried again with the next one',
        error,
      });
    }
  }
}

function chooseError(order: readonly unknown[], signal: AbortSignal): unknown {
  if (signal.aborted) return signal.reason;
  return order.find((error) => !READER_GONE.has(errorCode(error))) ?? order[0];
}

function describe(
  reason: CheckpointReason,
  result: CheckpointResult,
  summary: CheckpointSummary,
): Omit<CheckpointEvent, 'totalMs' | 'runtimeMs'> {
  return {
    sequence: summary.sequence,
    reason,
    snapshot: result.snapshot,
    processes: result.processes,
    threads: result.threads,
    stopUs: result.stopUs,
    captureUs: result.captureUs,
    contextBytes: summary.contextBytes,
    fileBytes: summary.fileBytes,
    storedBytes: summary.storedBytes,
  };
}
