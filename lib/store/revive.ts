/**
 * Contents of units that a file carries over from the previous checkpoint and that lie in a pack less than half alive. Memory is simply sent
 * again, but the source of an unchanged file is not at hand: its units are fetched, so that the pack can go.
 */
import type { DriverOptions } from './driver.ts';
import type { Manifest, StoredFile } from './manifest.ts';
import { readRecipe } from './recipe.ts';
import type { RunDirectory } from './run-directory.ts';
import { UnitOpener } from './unit-opener.ts';
import { ROW_BYTES, unitAt } from './unit-table.ts';

/** Bytes fetched per checkpoint; what exceeds them waits for the next one. */
const MAX_BYTES = 16 * 1024 * 1024;

/** @param isSparse By pack index of `manifest`. @returns Contents by row of `manifest`. */
export async function reviveUnits(
  run: RunDirectory,
  key: Uint8Array | undefined,
  manifest: Manifest,
  isSparse: readonly boolean[],
  files: readonly StoredFile[],
  options: DriverOptions,
): Promise<ReadonlyMap<number, Uint8Array>> {
  const { jobId, rows, packs } = manifest;
  const opener = new UnitOpener({ jobId, key, rows, packs, directory: run.pathOf('') });
  const contents = new Map<number, Uint8Array>();
  let left = MAX_BYTES;
  for (const row of unitRows(files, rows)) {
    const { pack, offset, stored } = unitAt(rows, row);
    if (isSparse[pack] !== true || contents.has(row)) continue;
    left -= stored;
    if (left < 0) break;
    contents.set(row, opener.open(row, await run.get(packs[pack]?.name ?? '', offset, stored, options)));
  }
  return contents;
}

function* unitRows(files: readonly StoredFile[], rows: Uint8Array): Generator<number, void, undefined> {
  for (const { recipe } of files) {
    for (const step of readRecipe(recipe, rows.length / ROW_BYTES)) if (step.kind === 'unit') yield step.row;
  }
}
