/**
 * A test that failed while others ran beside it is run once more, alone, before it is counted: on a machine of two processors a neighbour
 * can starve a server or a deadline for seconds. What passes then is listed as unsteady, with the output of its failure above; it is never
 * hidden, and a suite in which more than a few programs fail is broken, not unsteady.
 */
import { inLanes } from './lanes.ts';
import type { Outcome } from './outcome.ts';

/** Programs of one suite that get a second look. */
const MOST = 3;

export interface Looks<Item> {
  readonly items: readonly Item[];
  readonly lanes: number;
  /** Runs one test program and announces what came out of it. */
  readonly work: (item: Item) => Promise<readonly Outcome[]>;
  /** No second look: the first failure counts. */
  readonly isStrict: boolean;
}

function hasFailed(outcomes: readonly Outcome[]): boolean {
  return outcomes.some((outcome) => outcome.status === 'failed');
}

/** What failed first and passes now is unsteady; everything else is what the second run says. */
function compare(first: readonly Outcome[], second: readonly Outcome[]): readonly Outcome[] {
  const failed = new Map(first.filter(({ status }) => status === 'failed').map((outcome) => [outcome.name, outcome]));
  const seen = new Set(second.map(({ name }) => name));
  const lost = [...failed.values()].filter(({ name }) => !seen.has(name));
  const merged = second.map((outcome): Outcome => {
    const earlier = failed.get(outcome.name);
    return earlier === undefined || outcome.status !== 'passed'
      ? outcome
      : { ...outcome, status: 'unsteady', reason: earlier.reason };
  });
  if (hasFailed(second)) return merged;
  // The program itself had failed, by a time-out for instance: that outcome has no counterpart in a run that ends.
  return [...merged, ...lost.map((outcome): Outcome => ({ ...outcome, status: 'unsteady' }))];
}

/** Runs every program, `lanes` at a time, and those that failed again one after the other. */
export async function runWithSecondLook<Item>({ items, lanes, work, isStrict }: Looks<Item>): Promise<Outcome[]> {
  const first = await inLanes(items, lanes, work);
  const failing = items.flatMap((item, index) => (hasFailed(first[index] ?? []) ? [{ item, index }] : []));
  if (isStrict || failing.length > MOST) return first.flat();
  const outcomes = [...first];
  for (const { item, index } of failing) {
    process.stdout.write('again, alone:\n');
    outcomes[index] = compare(first[index] ?? [], await work(item));
  }
  return outcomes.flat();
}
