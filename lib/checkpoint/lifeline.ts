import { closeSync } from 'node:fs';
import type { NativeBinding } from '../native/binding.ts';

/**
 * A pipe whose write end this process alone holds. The keeper has the read end: end-of-file there means that this process is gone, however it
 * went, and the job is killed as if the node had died.
 */
export class Lifeline {
  /** Read end, for the keeper. Closed here by handOver. */
  readonly forKeeper: number;
  #own: number | undefined;

  constructor(binding: NativeBinding) {
    [this.forKeeper, this.#own] = binding.createPipe();
  }

  /** The keeper has its copy. */
  handOver(): void {
    closeSync(this.forKeeper);
  }

  /** Kills the job when it still runs; without effect the second time. */
  cut(): void {
    if (this.#own !== undefined) closeSync(this.#own);
    this.#own = undefined;
  }

  discard(): void {
    this.handOver();
    this.cut();
  }
}
