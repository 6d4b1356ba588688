/** One timer that is pushed on by every sign of life. */

export class StallClock {
  readonly #onStall: (ms: number) => void;
  #timer: NodeJS.Timeout | undefined;
  #ms = 0;

  constructor(onStall: (ms: number) => void) {
    this.#onStall = onStall;
  }

  /** Starts anew with this limit; 0 = none. Cheap enough for every packet. */
  start(ms: number): void {
    if (this.#timer !== undefined && ms === this.#ms) {
      this.#timer.refresh();
      return;
    }
    this.stop();
    if (ms <= 0) return;
    this.#ms = ms;
    this.#timer = setTimeout(() => this.#onStall(ms), ms);
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}
