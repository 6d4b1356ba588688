/** Main-thread side of a write: starts the worker, ships its packs a few at a time, and gives it their memory back. */
import { closeSync, fstatSync } from 'node:fs';
import type { Worker } from 'node:worker_threads';
import { currentBundle } from '../native/bundle.ts';
import { createDeferred, type Deferred } from '../util/deferred.ts';
import { startWorker } from '../util/worker-url.ts';
import type { PackRef } from './manifest.ts';
import { packAttempt } from './names.ts';
import { badContext, failed } from './store-error.ts';
import type { OperationOptions } from './types.ts';
import { retryUpload } from './upload-retry.ts';
import type {
  ContextInput,
  FileJob,
  FromWriteWorker,
  PreviousUnits,
  ToWriteWorker,
  WriteInit,
  WriteResult,
} from './write-protocol.ts';
import { fromPlainError } from './write-protocol.ts';

export interface PipelineOptions {
  readonly init: Omit<WriteInit, 'input' | 'addon'>;
  readonly contextFd: number | undefined;
  readonly add: (
    name: string,
    data: Uint8Array,
    signal: AbortSignal,
    onBytes: (count: number) => void,
  ) => Promise<void>;
  readonly signal: AbortSignal | undefined;
  readonly onProgress: OperationOptions['onProgress'];
  readonly onRetry: OperationOptions['onRetry'];
}

export class WritePipeline {
  readonly #options: PipelineOptions;
  readonly #input: ContextInput | undefined;
  readonly #worker: Worker;
  readonly #stop = new AbortController();
  readonly #signal: AbortSignal;
  readonly #context: Deferred<number> = createDeferred();
  readonly #result: Deferred<WriteResult> = createDeferred();
  readonly #shipments = new Set<Promise<void>>();
  readonly #shipped: string[] = [];
  /** Packs that were not stored by the first try, by their first name. */
  readonly #renamed = new Map<string, string>();
  #bytes = 0;
  #shippedBytes = 0;
  #queuedBytes = 0;

  constructor(options: PipelineOptions) {
    this.#options = options;
    const { signal, contextFd } = options;
    this.#signal = signal === undefined ? this.#stop.signal : AbortSignal.any([signal, this.#stop.signal]);
    this.#context.promise.catch(() => undefined);
    this.#result.promise.catch(() => undefined);
    this.#input = contextFd === undefined ? undefined : describeInput(contextFd);
    const workerData: WriteInit = { ...options.init, input: this.#input, addon: currentBundle()?.addon };
    this.#worker = startWorker('store-write', import.meta.url, './write-worker', { workerData });
    this.#worker.on('message', (message: FromWriteWorker) => this.#receive(message));
    this.#worker.once('error', (cause) => this.#fail(failed('the storing thread failed', { cause })));
    this.#worker.once('exit', () => this.#fail(failed('the storing thread ended early')));
    this.#signal.addEventListener('abort', () => this.#fail(this.#signal.reason), { once: true });
    if (this.#signal.aborted) this.#fail(this.#signal.reason);
  }

  /** Names under which an upload was begun, for cleaning up. */
  get shipped(): readonly string[] {
    return this.#shipped;
  }

  get shippedBytes(): number {
    return this.#shippedBytes;
  }

  /** Resolves with the length of the context once all of it has been read. */
  contextRead(): Promise<number> {
    return this.#context.promise;
  }

  /** Stores the files and waits until every pack has arrived. */
  async finish(files: readonly FileJob[], previous: PreviousUnits | undefined): Promise<WriteResult> {
    this.#send({ type: 'files', files, previous });
    const result = await this.#result.promise;
    while (this.#shipments.size > 0) await Promise.all(this.#shipments);
    this.#signal.throwIfAborted();
    const packs = result.packs.map(({ name, size }): PackRef => ({ name: this.#renamed.get(name) ?? name, size }));
    return { ...result, packs };
  }

  /** Aborts the uploads that are under way and waits for them to be over. */
  async stopUploads(): Promise<void> {
    this.#stop.abort(failed('the write has ended'));
    await Promise.allSettled(this.#shipments);
  }

  /** Ends the thread and all uploads and closes the context. Call it once. */
  async close(): Promise<void> {
    await this.stopUploads();
    await this.#worker.terminate();
    // A stream that the thread has taken over was closed with it.
    if (this.#input !== undefined && !(this.#input.isStream && Atomics.load(this.#input.taken, 0) === 1)) {
      closeSync(this.#input.fd);
    }
  }

  #receive(message: FromWriteWorker): void {
    if (message.type === 'pack') this.#ship(message.name, message.memory, message.length);
    else if (message.type === 'context') this.#context.resolve(message.bytes);
    else if (message.type === 'done') this.#result.resolve(message.result);
    else if (message.type === 'error') this.#fail(fromPlainError(message.error));
    else {
      this.#bytes = message.bytes;
      this.#report();
    }
  }

  #ship(name: string, memory: SharedArrayBuffer, length: number): void {
    this.#queuedBytes += length;
    const shipment = this.#upload(name, new Uint8Array(memory, 0, length)).then(
      () => this.#send({ type: 'shipped', memory }),
      (error: unknown) => this.#fail(error),
    );
    this.#shipments.add(shipment);
    void shipment.finally(() => this.#shipments.delete(shipment));
  }

  async #upload(name: string, data: Uint8Array): Promise<void> {
    await retryUpload(
      async (attempt) => {
        const stored = packAttempt(name, attempt - 1);
        this.#shipped.push(stored);
        if (stored !== name) this.#renamed.set(name, stored);
        let sent = 0;
        try {
          await this.#options.add(stored, data, this.#signal, (count) => {
            sent += count;
            this.#shippedBytes += count;
            this.#report();
          });
        } catch (error) {
          this.#shippedBytes -= sent;
          throw error;
        }
      },
      this.#signal,
      this.#options.onRetry,
    );
  }

  #report(): void {
    this.#options.onProgress?.({ bytes: this.#bytes, shipped: this.#shippedBytes, queued: this.#queuedBytes });
  }

  #send(message: ToWriteWorker): void {
    this.#worker.postMessage(message);
  }

  /** The first reason wins: a deferred settles once. */
  #fail(reason: unknown): void {
    this.#context.reject(reason);
    this.#result.reject(reason);
    if (!this.#stop.signal.aborted) this.#stop.abort(reason);
  }
}

function describeInput(fd: number): ContextInput {
  const taken = new Int32Array(new SharedArrayBuffer(4));
  let stat: ReturnType<typeof fstatSync>;
  try {
    stat = fstatSync(fd);
  } catch (error) {
    throw badContext(`descriptor ${fd} is not open`, error);
  }
  if (stat.isFIFO() || stat.isSocket()) return { fd, isStream: true, taken };
  if (stat.isFile()) return { fd, isStream: false, taken };
  throw badContext(`descriptor ${fd} is neither a pipe nor a file`);
}
