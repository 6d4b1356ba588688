/** Worker thread of a read: fetched pack ranges in, verified bytes out. Nothing leaves it before its hash has been checked. */
import { createHash } from 'node:crypto';
import { parentPort, workerData } from 'node:worker_threads';
import { openUnit, packKey, TAG_BYTES } from './cipher.ts';
import { decompress } from './codec.ts';
import { FetchedRanges } from './fetch-plan.ts';
import type { FromReadWorker, ReadInit, ToReadWorker } from './read-protocol.ts';
import { readRecipe, type Step } from './recipe.ts';
import { openSink, type Sink } from './sinks.ts';
import { corrupt, unauthentic } from './store-error.ts';
import { hashAt, ROW_BYTES, unitAt } from './unit-table.ts';
import { toPlainError } from './write-protocol.ts';

/** Written at once; small enough to keep the reader of the pipe busy while the next part is verified. */
const FLUSH_BYTES = 2 * 1024 * 1024;

class Reading {
  readonly #init: ReadInit;
  readonly #keys = new Map<number, Uint8Array>();
  #sink: Sink | undefined;
  #steps: Iterator<Step, void, undefined> | undefined;
  #next: Step | undefined;
  #bytes = 0;

  constructor(init: ReadInit) {
    this.#init = init;
  }

  async handle(message: ToReadWorker): Promise<void> {
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
    send({ type: 'done', bytes: this.#bytes, isBroken: this.#sink?.isBroken ?? false });
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
    for (let step = this.#next; step !== undefined && !sink.isBroken; step = this.#next) {
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

  /** Content of a unit, after every check. */
  #open(row: number, fetched: FetchedRanges): Uint8Array {
    const { rows, packs, directory, key } = this.#init;
    const unit = unitAt(rows, row);
    const path = `${directory}${packs[unit.pack]?.name ?? ''}`;
    const stored = fetched.find(unit.pack, unit.offset, unit.stored);
    const opened = key === undefined ? stored : this.#unseal(key, unit.pack, stored, unit.offset, path);
    let content: Uint8Array;
    try {
      content = decompress(unit.codec, opened, unit.raw);
    } catch (cause) {
      throw corrupt(path, `the unit at ${unit.offset} cannot be decompressed`, cause);
    }
    if (Buffer.compare(createHash('sha256').update(content).digest(), hashAt(rows, row)) !== 0) {
      throw corrupt(path, `the hash of the unit at ${unit.offset} does not match`);
    }
    return content;
  }

  #unseal(key: Uint8Array, pack: number, stored: Uint8Array, offset: number, path: string): Uint8Array {
    let unitKey = this.#keys.get(pack);
    if (unitKey === undefined) {
      unitKey = packKey(key, this.#init.jobId, this.#init.packs[pack]?.name ?? '');
      this.#keys.set(pack, unitKey);
    }
    if (stored.length < TAG_BYTES) throw unauthentic(path, `the unit at ${offset} is too short to be sealed`);
    try {
      return openUnit(unitKey, stored, offset);
    } catch (cause) {
      throw unauthentic(path, `the unit at ${offset} was not sealed with this job's key for this place`, cause);
    }
  }
}

function send(message: FromReadWorker): void {
  parentPort?.postMessage(message);
}

const reading = new Reading(workerData as ReadInit);
let queue: Promise<void> = Promise.resolve();
parentPort?.on('message', (message: ToReadWorker) => {
  queue = queue
    .then(() => reading.handle(message))
    .catch((error: unknown) => send({ type: 'error', error: toPlainError(error) }));
});
