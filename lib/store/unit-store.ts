/** Worker side: finds units that the job has stored before, and puts the others into packs. */
import { packKey, sealUnit, TAG_BYTES } from './cipher.ts';
import { compress } from './codec.ts';
import type { PackRef } from './manifest.ts';
import { packName } from './names.ts';
import { hashAt, ROW_BYTES, type Unit, UnitTable, unitAt } from './unit-table.ts';
import type { KnownUnits, WriteInit } from './write-protocol.ts';

/**
 * Takes a full pack away; its memory comes back through takeBack. It is shared, not transferred: to V8 each arrival of a transferred buffer is new
 * memory, and it would collect garbage for every pack.
 */
export type ShipPack = (name: string, memory: SharedArrayBuffer, length: number) => void;

interface OpenPack {
  readonly name: string;
  /** In the list of packs, once it holds something; before, -1. */
  index: number;
  readonly memory: SharedArrayBuffer;
  readonly bytes: Uint8Array;
  readonly key: Uint8Array | undefined;
  used: number;
}

/** A gap between two units costs less than moving the second one: the headers of a frame of the context, for example. */
const SMALL_GAP = 64;

function isAlmostInPlace(data: Uint8Array, { memory, used }: OpenPack): boolean {
  const gap = data.byteOffset - used;
  return data.buffer === memory && gap >= 0 && gap <= SMALL_GAP;
}

export class UnitStore {
  readonly #init: WriteInit;
  readonly #ship: ShipPack;
  readonly #fresh = new UnitTable();
  readonly #known: UnitTable;
  readonly #knownPacks: PackRef[] = [];
  readonly #packs: { name: string; size: number }[] = [];
  readonly #packIndex = new Map<string, number>();
  readonly #free: SharedArrayBuffer[] = [];
  #unallocated: number;
  #open: OpenPack | undefined;
  #wakeUp: (() => void) | undefined;

  constructor(init: WriteInit, ship: ShipPack) {
    this.#init = init;
    this.#ship = ship;
    this.#unallocated = init.packCount;
    this.#known = new UnitTable(Math.max(16, ...init.known.map(({ rows }) => rows.length / ROW_BYTES)));
    for (const known of init.known) this.#learn(known);
  }

  get rows(): Uint8Array<ArrayBuffer> {
    return this.#fresh.rows;
  }

  /** Every pack that a row refers to. */
  get packs(): readonly PackRef[] {
    return this.#packs;
  }

  /** False when no memory is left for a unit of this length: wait until a pack has been shipped. */
  canTake(length: number): boolean {
    const room = this.#open === undefined ? 0 : this.#init.packBytes - this.#open.used;
    return length + this.#tagBytes <= room || this.#hasMemory;
  }

  async waitFor(length: number): Promise<void> {
    while (!this.canTake(length)) {
      await new Promise<void>((resolve) => {
        this.#wakeUp = resolve;
      });
    }
  }

  takeBack(memory: SharedArrayBuffer): void {
    this.#free.push(memory);
    this.#wakeUp?.();
  }

  /**
   * The memory of the pack that is being filled, for content that is read where it is to stay; undefined when there is none. The bytes in front of
   * `used` are taken.
   */
  get open(): { readonly bytes: Uint8Array; readonly used: number } | undefined {
    return this.#open;
  }

  /** Goes on with another pack. @returns False when no memory is left for it: wait until a pack has been shipped. */
  next(): boolean {
    this.flush();
    if (!this.#hasMemory) return false;
    this.#begin();
    return true;
  }

  /** Stores a unit unless its content is known. @returns Its row. */
  take(hash: Uint8Array, content: Uint8Array): number {
    const row = this.#fresh.find(hash);
    if (row >= 0) return row;
    const knownRow = this.#known.find(hash);
    if (knownRow < 0) return this.#fresh.append(hash, this.#store(content));
    const unit = this.#known.unit(knownRow);
    return this.#fresh.append(hash, { ...unit, pack: this.#refer(this.#knownPacks[unit.pack]) });
  }

  /** Refers to a unit of an earlier checkpoint whose content is not at hand. @returns Its row. */
  carry(rows: Uint8Array, row: number, packs: readonly PackRef[]): number {
    const hash = hashAt(rows, row);
    const present = this.#fresh.find(hash);
    if (present >= 0) return present;
    const unit = unitAt(rows, row);
    return this.#fresh.append(hash, { ...unit, pack: this.#refer(packs[unit.pack]) });
  }

  /** Ships the pack that is being filled. */
  flush(): void {
    const open = this.#open;
    if (open === undefined) return;
    this.#open = undefined;
    const pack = this.#packs[open.index];
    if (pack === undefined) this.#free.push(open.memory);
    else {
      pack.size = open.used;
      this.#ship(open.name, open.memory, open.used);
    }
  }

  #learn({ rows, packs, isSparse }: KnownUnits): void {
    const base = this.#knownPacks.length;
    this.#knownPacks.push(...packs);
    for (let row = 0; row < rows.length / ROW_BYTES; row++) {
      const unit = unitAt(rows, row);
      const hash = hashAt(rows, row);
      if (isSparse[unit.pack] === true || this.#known.find(hash) >= 0) continue;
      this.#known.append(hash, { ...unit, pack: base + unit.pack });
    }
  }

  #refer(pack: PackRef | undefined): number {
    if (pack === undefined) throw new RangeError('a unit of an unknown pack');
    const present = this.#packIndex.get(pack.name);
    if (present !== undefined) return present;
    this.#packIndex.set(pack.name, this.#packs.length);
    return this.#packs.push({ ...pack }) - 1;
  }

  #store(content: Uint8Array): Unit {
    const { codec, data } = compress(this.#init.codec, content);
    const open = this.#room(data.length + this.#tagBytes);
    let offset = open.used;
    let stored = data.length;
    if (open.key !== undefined) stored = sealUnit(open.key, data, open.bytes, offset);
    else if (isAlmostInPlace(data, open)) offset = data.byteOffset;
    else open.bytes.set(data, offset);
    open.used = offset + stored;
    if (open.index < 0) open.index = this.#refer({ name: open.name, size: 0 });
    return { pack: open.index, offset, stored, raw: content.length, codec };
  }

  get #hasMemory(): boolean {
    return this.#free.length > 0 || this.#unallocated > 0;
  }

  get #tagBytes(): number {
    return this.#init.key === undefined ? 0 : TAG_BYTES;
  }

  #room(length: number): OpenPack {
    if (this.#open !== undefined && this.#init.packBytes - this.#open.used >= length) return this.#open;
    return this.#begin();
  }

  #begin(): OpenPack {
    this.flush();
    const name = packName(this.#init.epoch);
    const key = this.#init.key === undefined ? undefined : packKey(this.#init.key, this.#init.jobId, name);
    const memory = this.#memory();
    this.#open = { name, index: -1, memory, bytes: new Uint8Array(memory), key, used: 0 };
    return this.#open;
  }

  #memory(): SharedArrayBuffer {
    const free = this.#free.pop();
    if (free !== undefined) return free;
    if (this.#unallocated === 0) throw new RangeError('no memory for another pack');
    this.#unallocated--;
    return new SharedArrayBuffer(this.#init.packBytes);
  }
}
