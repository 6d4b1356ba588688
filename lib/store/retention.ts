/** What is kept, what may still be referred to, and what goes. */
import { liveBytes } from './fetch-plan.ts';
import type { Manifest } from './manifest.ts';
import type { KnownUnits } from './write-protocol.ts';

/** Checkpoints whose units a new one may refer to. More would only bring back memory that went back to an earlier state. */
const KNOWN_MANIFESTS = 2;
/** A pack less alive than this is given up, */
const MIN_ALIVE = 0.5;
/** and so are, sparsest first, packs below this while all packs together hold more than MAX_TOTAL times what is alive; */
const MAX_ALIVE = 0.85;
const MAX_TOTAL = 1.4;
/** but beyond the first pack no more than this part of a full checkpoint is sent again at once: else all packs of the first one, which age alike, would go together. */
const BUDGET = 0.15;

/**
 * Units that a new checkpoint need not send. A pack that is given up takes no new references: its living units are sent again, out of memory,
 * and the pack goes with the last checkpoint that needs it. So packs are rewritten without fetching them.
 */
export function knownUnits(manifests: readonly Manifest[]): KnownUnits[] {
  const [newest, ...older] = manifests.filter(({ finished }) => finished === undefined).slice(0, KNOWN_MANIFESTS);
  if (newest === undefined) return [];
  const isSparse = sparsePacks(newest);
  const sparse = new Set(newest.packs.filter((_, index) => isSparse[index]).map(({ name }) => name));
  const known = older.map((manifest) => {
    const own = sparsePacks(manifest);
    return {
      ...unitsOf(manifest),
      isSparse: manifest.packs.map(({ name }, index) => own[index] === true || sparse.has(name)),
    };
  });
  return [{ ...unitsOf(newest), isSparse }, ...known];
}

function unitsOf({ rows, packs }: Manifest): Omit<KnownUnits, 'isSparse'> {
  return { rows, packs };
}

/** By pack index: is given up. In steady state this keeps the packs of two checkpoints below two full ones, at 1 % of the pages changed at random. */
export function sparsePacks({ rows, packs }: Manifest): boolean[] {
  const live = liveBytes(rows, packs);
  const isSparse = packs.map(() => false);
  const alive = (index: number): number => (live[index] ?? 0) / Math.max(1, packs[index]?.size ?? 0);
  const all = live.reduce((sum, bytes) => sum + bytes, 0);
  let total = packs.reduce((sum, { size }) => sum + size, 0);
  let sentAgain = 0;
  for (const index of [...packs.keys()].sort((a, b) => alive(a) - alive(b))) {
    const isUseful = alive(index) < MIN_ALIVE || (total > all * MAX_TOTAL && alive(index) < MAX_ALIVE);
    const bytes = live[index] ?? 0;
    if (!isUseful || (sentAgain > 0 && sentAgain + bytes > all * BUDGET)) break;
    isSparse[index] = true;
    sentAgain += bytes;
    total -= (packs[index]?.size ?? 0) - bytes;
  }
  return isSparse;
}

/** The newest `keep` checkpoints, and a finished record that is newer than all of them. */
export function keptManifests(manifests: readonly Manifest[], keep: number): Manifest[] {
  const newest = manifests[0];
  const checkpoints = manifests.filter(({ finished }) => finished === undefined).slice(0, keep);
  return newest?.finished === undefined ? checkpoints : [newest, ...checkpoints];
}
