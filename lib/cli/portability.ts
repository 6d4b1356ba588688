/** Options of `blcr run` that let checkpoints run on more nodes. */

import { CARRIED_KINDS, type CarriedKind } from '../checkpoint/carried-files.ts';
import { CPU_BASELINES, type CpuBaseline } from '../job/cpu-baseline.ts';
import { type Arguments, parseChoice } from './command.ts';

export const PORTABILITY_OPTIONS = {
  save: { type: 'string', multiple: true },
  'cpu-baseline': { type: 'string' },
} as const;

export const PORTABILITY_USAGE = `  --save WHAT        mapped files that travel with each checkpoint: exe, private (libraries), shared or all
  --cpu-baseline L   x86-64-v2 or x86-64-v3: libraries use no newer instructions, so that older nodes can go on`;

/** @throws {UsageError} */
export function readSave(args: Arguments): readonly CarriedKind[] | undefined {
  const words = args.all('save').flatMap((text) => text.split(','));
  if (words.length === 0) return undefined;
  const chosen = words.map((word) => parseChoice(word, '--save', [...CARRIED_KINDS, 'all'] as const));
  return CARRIED_KINDS.filter((kind) => chosen.includes(kind) || chosen.includes('all'));
}

/** @throws {UsageError} */
export function readBaseline(args: Arguments): CpuBaseline | undefined {
  const name = args.text('cpu-baseline');
  return name === undefined ? undefined : parseChoice(name, '--cpu-baseline', CPU_BASELINES);
}
