/** A read where the bytes are: fetched pack ranges in, verified bytes out. Nothing leaves it before its hash has been checked. */
import { FetchedRanges } from './fetch-plan.ts';
import type { FromReadWorker, ReadInit, ToReadWorker } from './read-protocol.ts';
import { readRecipe, type Step } from './recipe.ts';
import { openSink, type Sink } from './sinks.ts';
import { UnitOpener } from './unit-opener.ts';
import { ROW_BYTES, unitAt } from './unit-table.ts';
import { toPlainError } from './write-protocol.ts';

/** Written at once; small enough to keep the reader of the pipe busy while the next part is verified. */
const FLUSH_BYTES = 2 * 1024 * 1024;

export class Reading {
  readonly #init: ReadInit;
  readonly #opener: UnitOpener;
  #sink: Sink | undefined;
  #steps: Iterator<Step, void, undefined> | undefined;
  #next: Step | undefined;
  readonly #answer: (message: FromReadWorker) => void;
  #bytes = 0;
  #isAbandoned = false;
  #queue: Promise<void> = Promise.resolve();

  /** @param answer Gets one answer to every request, in order. */
  constructor(init: ReadInit, answer: (message: FromReadWorker) => void) {
    this.#init = init;
    this.#answer = answer;
    this.#opener = new UnitOpener(init);
  }

  request(message: ToReadWorker): void {
    this.#queue = this.#queue
      .then(() => this.#handle(message))
      .catch((error: unknown) => this.#answer({ type: 'error', error: toPlainError(error) }));
  }

  /** Gives up, and closes what was being written. Afterwards nothing happens any more. */
  async abandon(): Promise<void> {
    this.#isAbandoned = true;
    await this.#sink?.abandon();
    await this.#queue;
  }

  async #handle(message: ToReadWorker): Promise<void> {
    if (this.#isAbandoned) return;
    if (message.type === 'open') {
      this.#bytes = 0;
      this.#steps = readRecipe(message.recipe, this.#init.rows.length / ROW_BYTES);
      this.#advance();
      this.#sink = openSink(message.sink);
      await this.#copy(0, new FetchedRanges());
    } else if (message.type === 'window') {
      const fetched = new FetchedRanges();
      for (const range of message.ranges) fetched.add(range, range.data);
      await this.#copy(message.units, fetched);
    } else {
      await this.#sink?.close();
    }
    this.#answer({ type: 'done', bytes: this.#bytes, isBroken: this.#sink?.isBroken ?? false });
  }

  #advance(): void {
    const { value, done } = this.#steps?.next() ?? { value: undefined, done: true };
    this.#next = done === true ? undefined : (value ?? undefined);
  }

  /** Takes steps until `units` units are written and the next step is a unit again. */
  async #copy(units: number, fetched: FetchedRanges): Promise<void> {
    const sink = this.#sink;
    if (sink === undefined) throw new Error('no sink is open');
    let left = units;
    let unflushed = 0;
    for (let step = this.#next; step !== undefined && !sink.isBroken && !this.#isAbandoned; step = this.#next) {
      if (step.kind === 'unit' && left === 0) break;
      const length = this.#write(sink, step, fetched);
      if (step.kind === 'unit') left--;
      this.#bytes += length;
      unflushed += length;
      this.#advance();
      if (unflushed < FLUSH_BYTES) continue;
      await sink.flush();
      unflushed = 0;
    }
    await sink.flush();
  }

  #write(sink: Sink, step: Step, fetched: FetchedRanges): number {
    if (step.kind === 'zeros') {
      sink.zeros(step.length);
      return step.length;
    }
    const content = step.kind === 'inline' ? step.bytes : this.#open(step.row, fetched);
    sink.write(content);
    return content.length;
  }

  #open(row: number, fetched: FetchedRanges): Uint8Array {
    const { pack, offset, stored } = unitAt(this.#init.rows, row);
    return this.#opener.open(row, fetched.find(pack, offset, stored));
  }
}
