/** Main-thread side of a read: fetches pack ranges ahead and hands them to the worker, which verifies, decodes and writes. */
import { createDeferred, type Deferred } from '../util/deferred.ts';
import { abortable } from './abort.ts';
import { type FetchWindow, planWindows, type Range } from './fetch-plan.ts';
import type { FromReadWorker, ReadInit, SinkSpec, ToReadWorker } from './read-protocol.ts';
import { type Reader, startReader } from './reader.ts';
import { failed } from './store-error.ts';
import { fromPlainError } from './write-protocol.ts';

/** Windows in memory: one being written, one waiting, one being fetched. */
const WINDOWS = 3;
/** Requests to the storage at once. */
const FETCHES = 4;

export interface ReadPipelineOptions {
  readonly init: ReadInit;
  /** About as much will be read in all. */
  readonly bytes: number;
  readonly get: (pack: string, offset: number, length: number, signal: AbortSignal) => Promise<Uint8Array>;
  readonly signal: AbortSignal | undefined;
  readonly onProgress: ((bytes: number, fetched: number) => void) | undefined;
}

type Answer = Extract<FromReadWorker, { readonly type: 'done' }>;

export class ReadPipeline implements AsyncDisposable {
  readonly #options: ReadPipelineOptions;
  readonly #reader: Reader;
  readonly #answers: Deferred<Answer>[] = [];
  readonly #stop = new AbortController();
  readonly #signal: AbortSignal;
  readonly #fetches = new Set<Promise<unknown>>();
  #failure: unknown;
  #copied = 0;
  #fetched = 0;

  constructor(options: ReadPipelineOptions) {
    this.#options = options;
    const { signal } = options;
    this.#signal = signal === undefined ? this.#stop.signal : AbortSignal.any([signal, this.#stop.signal]);
    this.#reader = startReader(
      options.init,
      options.bytes,
      (message) => this.#receive(message),
      (error) => this.#fail(error),
    );
  }

  /**
   * Copies one recipe's content into a sink. One at a time.
   * @returns Bytes written; false in `isComplete` when the reader of the pipe went away.
   */
  async copy(recipe: Uint8Array, sink: SinkSpec): Promise<{ readonly bytes: number; readonly isComplete: boolean }> {
    const signal = this.#signal;
    const pending = [this.#ask({ type: 'open', sink, recipe: new Uint8Array(recipe) })];
    const plan = planWindows(recipe, this.#options.init.rows);
    const ahead: Promise<ToReadWorker>[] = [];
    const fetchNext = (): void => {
      const { value: window } = plan.next();
      if (window === undefined) return;
      const fetch = this.#fetch(window);
      this.#fetches.add(fetch);
      fetch.catch(() => undefined).finally(() => this.#fetches.delete(fetch));
      ahead.push(fetch);
    };
    fetchNext();
    let isBroken = false;
    for (let fetch = ahead.shift(); fetch !== undefined && !isBroken; fetch = ahead.shift()) {
      fetchNext();
      pending.push(this.#ask(await abortable(fetch, signal)));
      while (pending.length >= WINDOWS - 1 && !isBroken) isBroken = await this.#settle(pending.shift());
    }
    while (pending.length > 0) isBroken = (await this.#settle(pending.shift())) || isBroken;
    const last = await abortable(this.#ask({ type: 'close' }), signal);
    this.#copied += last.bytes;
    return { bytes: last.bytes, isComplete: !isBroken && !last.isBroken };
  }

  /** Ends the thread, which closes a pipe it writes to, and what is being fetched. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(failed('the read has ended'));
    await this.#reader.close();
    await Promise.allSettled(this.#fetches);
  }

  async #settle(answer: Promise<Answer> | undefined): Promise<boolean> {
    if (answer === undefined) return false;
    const { bytes, isBroken } = await abortable(answer, this.#signal);
    this.#options.onProgress?.(this.#copied + bytes, this.#fetched);
    return isBroken;
  }

  async #fetch({ units, ranges }: FetchWindow): Promise<ToReadWorker> {
    const fetched: (Range & { readonly data: Uint8Array })[] = [];
    const queue = ranges.values();
    const work = async (): Promise<void> => {
      for (const range of queue) {
        const name = this.#options.init.packs[range.pack]?.name ?? '';
        const data = await this.#options.get(name, range.offset, range.length, this.#signal);
        this.#fetched += data.length;
        fetched.push({ ...range, data });
      }
    };
    await Promise.all(Array.from({ length: Math.min(FETCHES, ranges.length) }, work));
    return { type: 'window', units, ranges: fetched };
  }

  #ask(message: ToReadWorker): Promise<Answer> {
    const answer: Deferred<Answer> = createDeferred();
    answer.promise.catch(() => undefined);
    if (this.#failure !== undefined) answer.reject(this.#failure);
    else {
      this.#answers.push(answer);
      this.#reader.request(message, message.type === 'window' ? buffersOf(message.ranges) : []);
    }
    return answer.promise;
  }

  #receive(message: FromReadWorker): void {
    if (message.type === 'done') this.#answers.shift()?.resolve(message);
    else this.#fail(fromPlainError(message.error));
  }

  #fail(reason: unknown): void {
    this.#failure ??= reason;
    for (const answer of this.#answers.splice(0)) answer.reject(this.#failure);
  }
}

/** Moved, not copied: drivers hand out data in a buffer of its own. */
function buffersOf(ranges: readonly { readonly data: Uint8Array }[]): ArrayBuffer[] {
  return ranges.map(({ data }) => data.buffer).filter((buffer) => buffer instanceof ArrayBuffer);
}
