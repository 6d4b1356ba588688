/**
 * The directories a job has lived in. A program knows its files by the paths of its first scratch directory, and those it met after a
 * restart by the paths of that time: at a restart all of them must lead into the scratch directory of now.
 */

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { sandboxHome } from '../condor/sandbox.ts';
import type { CheckpointRecord } from '../store/types.ts';

type Pair = readonly [from: string, to: string];

/** The first one, which the program was started in, and the latest: what it learnt in between and still uses is the rarest. */
const MOST = 16;

/** @returns every directory that a checkpoint's programs may name, oldest first. */
export function placesOf({ scratch, earlierScratch = [] }: CheckpointRecord): readonly string[] {
  const places = [...new Set([...earlierScratch.filter((place) => place !== scratch), scratch])];
  return places.length <= MOST ? places : [...places.slice(0, 1), ...places.slice(1 - MOST)];
}

export interface Relocation {
  /** For paths that the engine opens. */
  readonly relocate: readonly Pair[];
  /** For those that the job itself will open, in order: later ones lie in what earlier ones have mounted. */
  readonly binds: readonly Pair[];
}

/**
 * HTCondor removes a sandbox some time after its job has left, and what is mounted on a directory goes away with it, in every namespace. So
 * the directory of the sandboxes is exchanged for one of our own, which holds nothing but the job's.
 * @param places What `placesOf` returned.
 * @param root The scratch directory of now.
 * @param own An existing directory of ours, below which mount points are made.
 */
export async function planRelocation(places: readonly string[], root: string, own: string): Promise<Relocation> {
  const relocate = places.filter((place) => place !== root).map((place): Pair => [place, root]);
  const homes = [...new Set(relocate.map(([place]) => sandboxHome(place)).filter((home) => home !== undefined))];
  const binds: Pair[] = [];
  for (const [index, home] of homes.entries()) {
    const stage = join(own, `sandboxes-${index}`);
    const inside = [...relocate.map(([place]) => place), root].filter((place) => isBelow(place, home));
    for (const place of inside) await mkdir(join(stage, place.slice(home.length)), { recursive: true });
    binds.push([home, stage]);
    if (isBelow(root, home)) binds.push([root, root]);
  }
  return { relocate, binds: [...binds, ...relocate] };
}

const isBelow = (path: string, directory: string): boolean => path.startsWith(`${directory}/`);
