/** Who verifies, decodes and writes: a thread, or for a few bytes this one, because a thread takes longer to start than they take. */
import { startWorker } from '../util/worker-url.ts';
import type { FromReadWorker, ReadInit, ToReadWorker } from './read-protocol.ts';
import { Reading } from './reading.ts';
import { failed } from './store-error.ts';

/** Verified and decoded in the time that a thread needs to start. */
const FEW_BYTES = 16 * 1024 * 1024;

export interface Reader {
  /** @param transfer Memory that the reader takes over. */
  request(message: ToReadWorker, transfer: ArrayBuffer[]): void;
  /** Ends it, and closes a pipe it writes to. */
  close(): Promise<void>;
}

/**
 * @param bytes About as much will be read in all.
 * @param onAnswer Gets one answer to every request, in order.
 * @param onFailure The thread has ended.
 */
export function startReader(
  init: ReadInit,
  bytes: number,
  onAnswer: (message: FromReadWorker) => void,
  onFailure: (error: unknown) => void,
): Reader {
  if (bytes <= FEW_BYTES) {
    const reading = new Reading(init, onAnswer);
    return { request: (message) => reading.request(message), close: () => reading.abandon() };
  }
  const worker = startWorker('store-read', import.meta.url, './read-worker', { workerData: init });
  worker.on('message', onAnswer);
  worker.once('error', (cause) => onFailure(failed('the reading thread failed', { cause })));
  worker.once('exit', () => onFailure(failed('the reading thread ended early')));
  return {
    request: (message, transfer) => worker.postMessage(message, transfer),
    close: async () => void (await worker.terminate()),
  };
}
