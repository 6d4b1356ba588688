/** Jittered exponential back-off for what may be tried again. What that is, the error says itself (`retriable`). */

import { setTimeout as delay } from 'node:timers/promises';
import { isBlcrError } from '../errors.ts';

export interface RetryPolicy {
  /** Tries in all, the first included; 1 = never again. Default 4. */
  readonly attempts?: number;
  /** Milliseconds of the first pause before jitter. Default 100. */
  readonly baseMs?: number;
  /** Upper bound of one pause in milliseconds. Default 5000. */
  readonly maxMs?: number;
}

export interface RetryOptions extends RetryPolicy {
  /** Ends a pause at once and is checked before every try; its reason is thrown. */
  readonly signal?: AbortSignal | undefined;
  /** Default: errors of this package that say `retriable`. */
  readonly isRetriable?: (error: unknown) => boolean;
  /** Called before each pause. */
  readonly onRetry?: (error: unknown, attempt: number, delayMs: number) => void;
}

/** Pause before try `attempt + 1`: half of the exponential step is fixed, half random, so that many clients of one dead server spread out. */
export function backoffMs(attempt: number, policy: RetryPolicy = {}, random: () => number = Math.random): number {
  const step = Math.min(policy.maxMs ?? 5000, (policy.baseMs ?? 100) * 2 ** (attempt - 1));
  return Math.round(step / 2 + (step / 2) * random());
}

/** Waits; throws the signal's own reason when it fires first. */
export async function pause(ms: number, signal?: AbortSignal): Promise<void> {
  try {
    await delay(ms, undefined, signal === undefined ? {} : { signal });
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  }
}

/**
 * Runs `operation` until it succeeds, fails for good, or the tries are used up; then the last error is thrown.
 * @param operation Gets the number of the try, from 1. Must be safe to repeat whenever it fails with a retriable error.
 */
export async function retry<T>(operation: (attempt: number) => Promise<T>, options: RetryOptions = {}): Promise<T> {
  const attempts = options.attempts ?? 4;
  const isRetriable = options.isRetriable ?? ((error: unknown) => isBlcrError(error) && error.retriable);
  for (let attempt = 1; ; attempt += 1) {
    options.signal?.throwIfAborted();
    try {
      return await operation(attempt);
    } catch (error) {
      if (attempt >= attempts || !isRetriable(error)) throw error;
      const delayMs = backoffMs(attempt, options);
      options.onRetry?.(error, attempt, delayMs);
      await pause(delayMs, options.signal);
    }
  }
}
