/** What a soak has come to, in a few lines. */
import type { Verdict } from './round.ts';

function count(items: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const item of items) counts.set(item, (counts.get(item) ?? 0) + 1);
  const sorted = [...counts].sort(([, left], [, right]) => right - left);
  return sorted.map(([item, number]) => `\n  ${String(number).padStart(6)} ${item}`).join('');
}

/** Process ids and numbers of descriptors would make each refusal one of its own kind. */
const kindOf = (refusal: string): string => refusal.replaceAll(/\d+/g, 'N');

export function summarise(verdicts: readonly Verdict[]): string {
  const taken = verdicts.flatMap((verdict) => verdict.taken);
  const restarts = taken.filter((fate) => !fate.startsWith('runs on')).length;
  const wrong = verdicts.filter((verdict) => verdict.wrong !== undefined);
  const failed = verdicts.filter((verdict) => verdict.controlFailed !== undefined);
  const refused = verdicts.flatMap(({ subject, refused }) => refused.map((text) => `${subject}: ${kindOf(text)}`));
  return [
    `${verdicts.length} rounds of ${new Set(verdicts.map(({ subject }) => subject)).size} programs, ${taken.length} checkpoints, ${restarts} restarts`,
    `checkpoints, by what became of the program:${count(taken)}`,
    ...(refused.length > 0 ? [`refused, the program running on:${count(refused)}`] : []),
    `${wrong.length} wrong${count(wrong.map(({ subject }) => subject))}`,
    `${failed.length} without a verdict, the uninterrupted run having failed${count(failed.map(({ subject }) => subject))}`,
  ].join('\n');
}
