/** What checkpoint and restart requests have in common: waiting for the end, and giving up before it. */
import type { NativeBinding, NativeResult, RequestHandle } from '../native/binding.ts';

/** How a request ended. `error` is undefined when it succeeded. */
export interface Outcome {
  /** What reap returned: 0 for a checkpoint, the child's pid for a restart. */
  readonly value: number;
  readonly result: NativeResult | undefined;
  readonly log: string;
  readonly error: unknown;
}

/**
 * Waits for a request's end and releases it. Log first, reap second: reaping closes the handle. Never rejects.
 * The reap must not come before the handle is readable: BLCR then answers EAGAIN and has closed the handle all the same.
 */
export async function completeRequest(binding: NativeBinding, handle: RequestHandle): Promise<Outcome> {
  let log = '';
  let result: NativeResult | undefined;
  try {
    await binding.waitReadable(handle);
  } catch (error) {
    binding.closeHandle(handle);
    return { value: -1, result, log, error };
  }
  try {
    log = binding.readLog(handle);
    result = binding.result(handle);
  } catch {
    // Neither is worth losing the outcome for.
  }
  try {
    return { value: binding.reap(handle), result, log, error: undefined };
  } catch (error) {
    return { value: -1, result, log, error };
  }
}

export type InterruptionReason = 'abort' | 'timeout';

/** Watches for the first reason to give up: an AbortSignal or a time-out. */
export class Interruption implements Disposable {
  #reason: InterruptionReason | undefined;
  readonly #signal: AbortSignal | undefined;
  readonly #timer: NodeJS.Timeout | undefined;
  readonly #give: () => void;
  readonly #onAbort = (): void => this.#happen('abort');

  /** @param timeoutMs milliseconds, 0 = none @param give called once, at the first reason */
  constructor(signal: AbortSignal | undefined, timeoutMs: number, give: () => void) {
    this.#signal = signal;
    this.#give = give;
    this.#timer = timeoutMs > 0 ? setTimeout(() => this.#happen('timeout'), timeoutMs) : undefined;
    signal?.addEventListener('abort', this.#onAbort, { once: true });
  }

  get reason(): InterruptionReason | undefined {
    return this.#reason;
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#signal?.removeEventListener('abort', this.#onAbort);
  }

  #happen(reason: InterruptionReason): void {
    if (this.#reason !== undefined) return;
    this.#reason = reason;
    this.#give();
  }
}
