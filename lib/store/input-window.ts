/** Where bytes of a stream are until they have been used: in memory of their own, or in the pack that they are to stay in. */
import { MAX_PIECE } from './frames.ts';
import type { UnitStore } from './unit-store.ts';

export const READ_BYTES: number = 1024 * 1024;

/** The bytes that have been read and not used yet are `bytes` from `head` to `tail`. */
export interface InputWindow {
  readonly bytes: Uint8Array;
  readonly head: number;
  readonly tail: number;
  /** Room for one read, at `tail`; undefined when there is none now. Called only between a read and the next; may move what is there. */
  space(): Uint8Array | undefined;
  filled(count: number): void;
  consume(count: number): void;
  /** False when so many of its bytes could not be stored now, if all of them were new. */
  canStore(length: number): boolean;
}

abstract class Window implements InputWindow {
  abstract readonly bytes: Uint8Array;
  abstract space(): Uint8Array | undefined;
  abstract canStore(length: number): boolean;
  head = 0;
  tail = 0;

  filled(count: number): void {
    this.tail += count;
  }

  consume(count: number): void {
    this.head += count;
  }

  protected moveTo(offset: number): void {
    this.bytes.copyWithin(offset, this.head, this.tail);
    this.tail -= this.head - offset;
    this.head = offset;
  }

  protected behind(): Uint8Array {
    return this.bytes.subarray(this.tail, this.tail + READ_BYTES);
  }
}

export class BufferWindow extends Window {
  readonly #units: UnitStore;
  readonly bytes: Uint8Array = Buffer.allocUnsafeSlow(4 * READ_BYTES);

  constructor(units: UnitStore) {
    super();
    this.#units = units;
  }

  canStore(length: number): boolean {
    return this.#units.canTake(length);
  }

  space(): Uint8Array {
    if (this.bytes.length - this.tail < READ_BYTES) this.moveTo(0);
    return this.behind();
  }
}

/** For units that are stored as they are: those that are new need not be moved. */
export class PackWindow extends Window {
  readonly #units: UnitStore;
  bytes: Uint8Array = new Uint8Array(0);

  constructor(units: UnitStore) {
    super();
    this.#units = units;
  }

  /** They are in the pack. */
  canStore(): boolean {
    return true;
  }

  space(): Uint8Array | undefined {
    const open = this.#units.open;
    if (open === undefined || open.bytes !== this.bytes) return this.#goOn();
    const wanted = Math.min(READ_BYTES, open.bytes.length / 4);
    if (open.bytes.length - this.tail >= wanted) return this.behind();
    const pending = this.tail - this.head;
    if (open.bytes.length - open.used - pending < wanted) return this.#goOn();
    // Much of what has been read was known already.
    this.moveTo(open.used);
    return this.behind();
  }

  /** The memory that is left may be under way to the store, where nobody changes it. */
  #goOn(): Uint8Array | undefined {
    if (this.tail - this.head > MAX_PIECE) throw new RangeError('more than a piece has been left');
    if (!this.#units.next()) return undefined;
    const bytes = this.#units.open?.bytes ?? this.bytes;
    bytes.set(this.bytes.subarray(this.head, this.tail));
    this.tail -= this.head;
    this.head = 0;
    this.bytes = bytes;
    return this.behind();
  }
}
