/** Patience with a store during one upload. */
import { isBlcrError } from '../errors.ts';
import { type RetryOptions, retry } from '../util/retry.ts';
import type { OperationOptions } from './types.ts';

/** Together with the pauses about 12 s; then the whole checkpoint fails and its owner tries again later. */
const POLICY = { attempts: 7, baseMs: 250, maxMs: 8000 };

/** A full store is not waited for: the owner can make room by keeping fewer checkpoints, we cannot. */
function isWorthWaiting(error: unknown): boolean {
  return isBlcrError(error) && error.retriable && error.code !== 'ERR_STORE_FULL';
}

export async function retryUpload<T>(
  upload: (attempt: number) => Promise<T>,
  signal: AbortSignal | undefined,
  onRetry: OperationOptions['onRetry'],
): Promise<T> {
  const options: RetryOptions = {
    ...POLICY,
    signal,
    isRetriable: isWorthWaiting,
    onRetry: (error, _attempt, delayMs) => onRetry?.(error, delayMs),
  };
  return await retry(upload, options);
}
