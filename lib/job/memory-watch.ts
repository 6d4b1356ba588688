/** A program may grow while a copy of it is being written: the copy goes before the batch system takes the whole job. */

import { JobError } from '../errors.ts';
import type { Clock, Timer } from '../util/clock.ts';

/** HTCondor adds up every five seconds at most. Source: HTCondor manual, STARTER_UPDATE_INTERVAL, PID_SNAPSHOT_INTERVAL. */
const LOOK_MS = 500;

export class MemoryWatch {
  readonly #clock: Clock;
  readonly #isOver: (() => boolean) | undefined;
  readonly #outgrown = new AbortController();
  #timer: Timer | undefined;

  /** @param isOver See MemoryPlan; undefined = there is nothing to look at. */
  constructor(clock: Clock, isOver: (() => boolean) | undefined) {
    this.#clock = clock;
    this.#isOver = isOver;
  }

  /** Aborted with a {JobError} `ERR_JOB_MEMORY` when the job has outgrown its limit. */
  get signal(): AbortSignal {
    return this.#outgrown.signal;
  }

  /** Looks every now and then, from now until `copied` settles. */
  until(copied: Promise<unknown>): void {
    if (this.#isOver === undefined) return;
    this.#look();
    const stop = (): void => {
      this.#timer?.cancel();
      this.#timer = undefined;
    };
    copied.then(stop, stop);
  }

  #look(): void {
    this.#timer = this.#clock.startTimer(LOOK_MS, () => {
      if (this.#isOver?.() === true) this.#outgrown.abort(outgrownError());
      else this.#look();
    });
  }
}

const outgrownError = (): JobError =>
  new JobError(
    'The program has grown during its checkpoint: with the copy of it the job would need more memory than it has asked for',
    { code: 'ERR_JOB_MEMORY' },
  );
