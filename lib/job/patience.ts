/** How long this process waits for others at the end of a job. Nobody outlives the deadline of an eviction: the batch system kills then. */

import type { Clock } from '../util/clock.ts';

/** Nobody waits longer for an upload that was given up, or a store that is to be told of the end. */
const LONGEST_MS = 30_000;

/** For what is as good as done at the deadline; batch systems are a second later than what they are taken to allow (incarnation.ts). */
const LEAST_MS = 200;

/** In an eviction whose checkpoint was given up, the slot is wanted; what a store keeps of it is removed by the next run. */
const EVICTED_MS = 2000;

export class Patience {
  readonly #clock: Clock;
  #deadline = Number.POSITIVE_INFINITY;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  evict(deadlineMs: number): void {
    this.#deadline = this.#clock.now() + deadlineMs;
  }

  /** Milliseconds that a job's result may wait for the store. */
  forResult(longestMs: number = LONGEST_MS): number {
    return Math.max(LEAST_MS, Math.min(longestMs, this.#deadline - this.#clock.now()));
  }

  /** Milliseconds that cleaning up may take. */
  forCleaning(): number {
    return this.forResult(Number.isFinite(this.#deadline) ? EVICTED_MS : LONGEST_MS);
  }
}
