/** Which bytes of which packs a recipe needs, window by window, so that reading ahead has a bound. */
import type { PackRef } from './manifest.ts';
import { readRecipe } from './recipe.ts';
import { ROW_BYTES, unitAt } from './unit-table.ts';

/** Bytes of packs that one window holds. */
const WINDOW_BYTES = 16 * 1024 * 1024;
/** Fetching a gap of this size costs less than another request. */
const MAX_GAP = 128 * 1024;
const MAX_RANGE = 8 * 1024 * 1024;

export interface Range {
  readonly pack: number;
  readonly offset: number;
  readonly length: number;
}

export interface FetchWindow {
  /** Unit steps of the recipe that this window serves. */
  readonly units: number;
  readonly ranges: readonly Range[];
}

/** @throws {RangeError} When the recipe does not fit the table. */
export function* planWindows(recipe: Uint8Array, rows: Uint8Array): Generator<FetchWindow, void, undefined> {
  let wanted = new Set<number>();
  let units = 0;
  let bytes = 0;
  for (const step of readRecipe(recipe, rows.length / ROW_BYTES)) {
    if (step.kind !== 'unit') continue;
    units++;
    if (!wanted.has(step.row)) {
      wanted.add(step.row);
      bytes += unitAt(rows, step.row).stored;
    }
    // Repeated units cost no bytes, but their number must have a bound as well.
    if (bytes < WINDOW_BYTES && units < 65_536) continue;
    yield { units, ranges: joinRanges(wanted, rows) };
    wanted = new Set();
    units = 0;
    bytes = 0;
  }
  if (units > 0) yield { units, ranges: joinRanges(wanted, rows) };
}

function joinRanges(wanted: ReadonlySet<number>, rows: Uint8Array): Range[] {
  const units = Array.from(wanted, (row) => unitAt(rows, row));
  units.sort((a, b) => a.pack - b.pack || a.offset - b.offset);
  const ranges: { pack: number; offset: number; length: number }[] = [];
  for (const { pack, offset, stored } of units) {
    const last = ranges.at(-1);
    const isNear = last !== undefined && last.pack === pack && offset <= last.offset + last.length + MAX_GAP;
    if (isNear && offset + stored - last.offset <= MAX_RANGE) {
      last.length = Math.max(last.length, offset + stored - last.offset);
    } else ranges.push({ pack, offset, length: stored });
  }
  return ranges;
}

/** The fetched bytes of a window. */
export class FetchedRanges {
  readonly #byPack = new Map<number, { readonly offset: number; readonly data: Uint8Array }[]>();

  add(range: Range, data: Uint8Array): void {
    const ranges = this.#byPack.get(range.pack) ?? [];
    ranges.push({ offset: range.offset, data });
    this.#byPack.set(range.pack, ranges);
  }

  /** @throws {RangeError} When the window does not hold these bytes. */
  find(pack: number, offset: number, length: number): Uint8Array {
    for (const range of this.#byPack.get(pack) ?? []) {
      const start = offset - range.offset;
      if (start >= 0 && start + length <= range.data.length) return range.data.subarray(start, start + length);
    }
    throw new RangeError(`bytes ${offset} to ${offset + length} of pack ${pack} were not fetched`);
  }
}

/** True size of a pack's content that a table refers to, by pack index: what is alive in it. */
export function liveBytes(rows: Uint8Array, packs: readonly PackRef[]): number[] {
  const live = packs.map(() => 0);
  for (let row = 0; row < rows.length / ROW_BYTES; row++) {
    const { pack, stored } = unitAt(rows, row);
    live[pack] = (live[pack] ?? 0) + stored;
  }
  return live;
}
