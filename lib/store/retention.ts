/** What is kept, what may still be referred to, and what goes. */
import { liveBytes } from './fetch-plan.ts';
import type { Manifest } from './manifest.ts';
import type { KnownUnits } from './write-protocol.ts';

/** Checkpoints whose units a new one may refer to. More would only bring back memory that went back to an earlier state. */
const KNOWN_MANIFESTS = 2;
const MIN_ALIVE = 0.5;

/**
 * Units that a new checkpoint need not send. A pack that is less than half alive in the newest checkpoint takes no new references: its living
 * units are sent again, out of memory, and the pack goes with the last checkpoint that needs it. So packs are rewritten without fetching them.
 */
export function knownUnits(manifests: readonly Manifest[]): KnownUnits[] {
  const checkpoints = manifests.filter(({ finished }) => finished === undefined);
  return checkpoints.slice(0, KNOWN_MANIFESTS).map((manifest) => {
    return { rows: manifest.rows, packs: manifest.packs, isSparse: sparsePacks(manifest) };
  });
}

/** By pack index: less than half of it is alive in this checkpoint. */
export function sparsePacks({ rows, packs }: Manifest): boolean[] {
  const live = liveBytes(rows, packs);
  return packs.map(({ size }, index) => (live[index] ?? 0) < size * MIN_ALIVE);
}

/** The newest `keep` checkpoints, and a finished record that is newer than all of them. */
export function keptManifests(manifests: readonly Manifest[], keep: number): Manifest[] {
  const newest = manifests[0];
  const checkpoints = manifests.filter(({ finished }) => finished === undefined).slice(0, keep);
  return newest?.finished === undefined ? checkpoints : [newest, ...checkpoints];
}
