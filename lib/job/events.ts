/** What happens to a job, typed: as events of the Job object and as one stream for logs and renderers. */

import { EventEmitter } from 'node:events';
import type { CheckpointReason } from '../schedule/policy.ts';
import type { JobEnd } from './exit-status.ts';

export interface StartedEvent {
  /** The child that stands for the job: signals sent to it reach the program. */
  readonly pid: number;
  /** Sequence of the checkpoint it goes on from; undefined = it starts from the beginning. */
  readonly resumedFrom: number | undefined;
  /** Milliseconds of run time saved by resuming. */
  readonly savedMs: number;
  /** Milliseconds the restart took, from the first byte asked of the store; 0 for a fresh start. */
  readonly restartMs: number;
}

export interface CheckpointEvent {
  readonly sequence: number;
  readonly reason: CheckpointReason;
  readonly snapshot: 'fork' | 'plain' | 'unknown';
  readonly processes: number;
  readonly threads: number;
  /** Microseconds the program stood still, and the part of it that went into copying files. */
  readonly stopUs: number;
  readonly captureUs: number;
  /** Milliseconds from the request until it was safe in the store. */
  readonly totalMs: number;
  /** Bytes of context, of files, and what the store had to take in for them. */
  readonly contextBytes: number;
  readonly fileBytes: number;
  readonly storedBytes: number;
  /** Milliseconds of run time that are safe now. */
  readonly runtimeMs: number;
}

export interface WarningEvent {
  /** An error's code, or `ERR_JOB_*` for what only this layer knows. */
  readonly code: string;
  readonly message: string;
  /** What follows for the job. */
  readonly consequence: string;
  readonly error?: unknown;
}

export interface JobEventMap {
  started: StartedEvent;
  checkpoint: CheckpointEvent;
  progress: { readonly reason: CheckpointReason; readonly bytes: number; readonly shipped: number };
  warning: WarningEvent;
  connected: { readonly store: string; readonly epoch: number };
  vacating: { readonly deadlineMs: number };
  ended: JobEnd & { readonly runtimeMs: number };
}

export type JobEventName = keyof JobEventMap;

/** One event as a plain record: `{ event, time, id, …its fields }`. */
export type JobEvent = {
  [Name in JobEventName]: { readonly event: Name; readonly time: number; readonly id: string } & JobEventMap[Name];
}[JobEventName];

export type JobListener<Name extends JobEventName> = (event: Extract<JobEvent, { event: Name }>) => void;

/** An emitter that knows its events. A listener that throws does not disturb the job: its error is raised on its own, as an uncaught one. */
export class JobEvents {
  readonly #emitter = new EventEmitter();
  readonly #id: string;
  readonly #wallTime: () => number;

  constructor(id: string, wallTime: () => number) {
    this.#id = id;
    this.#wallTime = wallTime;
  }

  on<Name extends JobEventName>(name: Name, listener: JobListener<Name>): void {
    this.#emitter.on(`event:${name}`, listener);
  }

  off<Name extends JobEventName>(name: Name, listener: JobListener<Name>): void {
    this.#emitter.off(`event:${name}`, listener);
  }

  /** Every event, in order. */
  onAny(listener: (event: JobEvent) => void): void {
    this.#emitter.on('any', listener);
  }

  emit<Name extends JobEventName>(name: Name, fields: JobEventMap[Name]): void {
    const event = { event: name, time: this.#wallTime(), id: this.#id, ...fields };
    for (const channel of ['any', `event:${name}`]) {
      for (const listener of this.#emitter.listeners(channel)) {
        try {
          listener(event);
        } catch (error) {
          queueMicrotask(() => {
            throw error;
          });
        }
      }
    }
  }
}
