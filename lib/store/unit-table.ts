/**
 * Units by content: rows of 48 bytes in one array, as they are written to the manifest, and an open-addressing hash table of row numbers.
 * A job of 100 GiB has 1.6 million units: 77 MB of rows and 16 MB of table.
 *
 *     row := hash[32] pack:u32 offset:u32 stored:u32 raw:u24 codec:u8        little endian; raw and codec share the last word
 */
export const ROW_BYTES = 48;
export const HASH_BYTES = 32;

export interface Unit {
  /** Index into the manifest's list of packs. */
  readonly pack: number;
  readonly offset: number;
  /** Bytes in the pack. */
  readonly stored: number;
  /** Bytes of the content. */
  readonly raw: number;
  readonly codec: number;
}

/** Reads one row of a table. */
export function unitAt(rows: Uint8Array, row: number): Unit {
  const view = new DataView(rows.buffer, rows.byteOffset + row * ROW_BYTES + HASH_BYTES, ROW_BYTES - HASH_BYTES);
  const last = view.getUint32(12, true);
  return {
    pack: view.getUint32(0, true),
    offset: view.getUint32(4, true),
    stored: view.getUint32(8, true),
    raw: last & 0xffffff,
    codec: last >>> 24,
  };
}

export function hashAt(rows: Uint8Array, row: number): Uint8Array {
  return rows.subarray(row * ROW_BYTES, row * ROW_BYTES + HASH_BYTES);
}

export class UnitTable {
  #rows: Uint8Array<ArrayBuffer>;
  #view: DataView;
  #slots: Int32Array;
  #count = 0;

  /** @param expected Rows to make room for at once. */
  constructor(expected = 1024) {
    this.#rows = new Uint8Array(expected * ROW_BYTES);
    this.#view = new DataView(this.#rows.buffer);
    this.#slots = new Int32Array(2 ** Math.ceil(Math.log2(Math.max(expected, 16) * 2))).fill(-1);
  }

  get count(): number {
    return this.#count;
  }

  /** All rows; a view that is valid until the next append. */
  get rows(): Uint8Array<ArrayBuffer> {
    return this.#rows.subarray(0, this.#count * ROW_BYTES);
  }

  /** The row of a hash, -1 when it is not known. */
  find(hash: Uint8Array): number {
    const mask = this.#slots.length - 1;
    for (let slot = slotOf(hash) & mask; ; slot = (slot + 1) & mask) {
      const row = this.#slots[slot] ?? -1;
      if (row < 0 || this.#hasHash(row, hash)) return row;
    }
  }

  /** Adds a row; the hash must be new to the table. @returns Its number. */
  append(hash: Uint8Array, unit: Unit): number {
    if ((this.#count + 1) * ROW_BYTES > this.#rows.length) this.#growRows();
    if ((this.#count + 1) * 5 > this.#slots.length * 3) this.#growSlots();
    const row = this.#count++;
    const at = row * ROW_BYTES;
    this.#rows.set(hash, at);
    this.#view.setUint32(at + HASH_BYTES, unit.pack, true);
    this.#view.setUint32(at + HASH_BYTES + 4, unit.offset, true);
    this.#view.setUint32(at + HASH_BYTES + 8, unit.stored, true);
    this.#view.setUint32(at + HASH_BYTES + 12, (unit.raw | (unit.codec << 24)) >>> 0, true);
    this.#insert(row);
    return row;
  }

  unit(row: number): Unit {
    return unitAt(this.#rows, row);
  }

  #hasHash(row: number, hash: Uint8Array): boolean {
    const at = row * ROW_BYTES;
    for (let i = 0; i < HASH_BYTES; i++) if (this.#rows[at + i] !== hash[i]) return false;
    return true;
  }

  #insert(row: number): void {
    const mask = this.#slots.length - 1;
    let slot = slotOf(hashAt(this.#rows, row)) & mask;
    while ((this.#slots[slot] ?? -1) >= 0) slot = (slot + 1) & mask;
    this.#slots[slot] = row;
  }

  #growRows(): void {
    const grown = new Uint8Array(this.#rows.length * 2);
    grown.set(this.#rows);
    this.#rows = grown;
    this.#view = new DataView(grown.buffer);
  }

  #growSlots(): void {
    this.#slots = new Int32Array(this.#slots.length * 2).fill(-1);
    for (let row = 0; row < this.#count; row++) this.#insert(row);
  }
}

function slotOf(hash: Uint8Array): number {
  return (hash[0] ?? 0) | ((hash[1] ?? 0) << 8) | ((hash[2] ?? 0) << 16) | ((hash[3] ?? 0) << 24);
}
