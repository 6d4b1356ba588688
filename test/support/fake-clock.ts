import type { Clock, Timer } from '../../lib/util/clock.ts';

/** Time that moves only when told. `advance` lets promises settle between timers, so that code that awaits keeps up with it. */
export class FakeClock implements Clock {
  #now = 0;
  #timers: { at: number; callback: () => void }[] = [];

  now(): number {
    return this.#now;
  }

  wallTime(): number {
    return 1_700_000_000_000 + this.#now;
  }

  startTimer(ms: number, callback: () => void): Timer {
    const timer = { at: this.#now + Math.max(0, ms), callback };
    this.#timers.push(timer);
    return {
      cancel: () => {
        this.#timers = this.#timers.filter((other) => other !== timer);
      },
    };
  }

  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    for (;;) {
      await settled();
      const due = this.#timers.filter(({ at }) => at <= end).sort((one, other) => one.at - other.at)[0];
      if (due === undefined) break;
      this.#now = due.at;
      this.#timers = this.#timers.filter((timer) => timer !== due);
      due.callback();
    }
    this.#now = end;
    await settled();
  }
}

const FILE_OPERATION = /FSReq|CloseReq/i;

/** Turns of the event loop without a file operation under way after which nothing is expected to move by itself. */
const QUIET_TURNS = 12;

/** Lets everything that can go on without time passing do so, file operations included. */
export async function settled(): Promise<void> {
  for (let quiet = 0; quiet < QUIET_TURNS; quiet += 1) {
    await new Promise((resolve) => setImmediate(resolve));
    if (process.getActiveResourcesInfo().some((name) => FILE_OPERATION.test(name))) quiet = 0;
  }
}
