/** From stored bytes back to the content of a unit, through every check. */
import { openUnit, packKey, TAG_BYTES } from './cipher.ts';
import { decompress } from './codec.ts';
import type { ReadInit } from './read-protocol.ts';
import { corrupt, unauthentic } from './store-error.ts';
import { unitHash } from './unit-hash.ts';
import { hashAt, unitAt } from './unit-table.ts';

export class UnitOpener {
  readonly #init: ReadInit;
  readonly #keys = new Map<number, Uint8Array>();

  constructor(init: ReadInit) {
    this.#init = init;
  }

  /**
   * @param stored What the pack holds for this row.
   * @throws {StoreError} ERR_STORE_AUTH or ERR_STORE_CORRUPT, naming the pack.
   */
  open(row: number, stored: Uint8Array): Uint8Array {
    const { rows, packs, directory, key } = this.#init;
    const unit = unitAt(rows, row);
    const path = `${directory}${packs[unit.pack]?.name ?? ''}`;
    const opened = key === undefined ? stored : this.#unseal(key, unit.pack, stored, unit.offset, path);
    let content: Uint8Array;
    try {
      content = decompress(unit.codec, opened, unit.raw);
    } catch (cause) {
      throw corrupt(path, `the unit at ${unit.offset} cannot be decompressed`, cause);
    }
    if (Buffer.compare(unitHash(content), hashAt(rows, row)) !== 0) {
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
