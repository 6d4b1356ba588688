/** Medians, ratios and how sure they are. */

export function median(values: readonly number[]): number {
  if (values.length === 0) throw new Error('the median of nothing');
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

/** xorshift32: the same resamples every time, so that a report can be reproduced from its raw figures. */
function makeRandom(): () => number {
  let state = 2463534242;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}

export interface Interval {
  readonly low: number;
  readonly high: number;
}

/**
 * 95 % bootstrap interval (percentile method, 4000 resamples) of the median of `values`.
 * With fewer than six values it is no more than their range.
 */
export function medianInterval(values: readonly number[]): Interval {
  const random = makeRandom();
  const medians = Array.from({ length: 4000 }, () =>
    median(values.map(() => values[Math.floor(random() * values.length)] ?? Number.NaN)),
  ).sort((a, b) => a - b);
  return { low: medians[100] ?? Number.NaN, high: medians[3899] ?? Number.NaN };
}

export interface Pair<T = number> {
  readonly ours: T;
  readonly theirs: T;
}

export interface Comparison {
  readonly ours: number;
  readonly theirs: number;
  /** Median of the ratios ours / theirs of each pair: what disturbs both halves of a pair cancels. */
  readonly ratio: number;
  readonly interval: Interval;
  readonly pairs: number;
}

export function compare(pairs: readonly Pair[]): Comparison {
  const ratios = pairs.map(({ ours, theirs }) => ours / theirs);
  return {
    ours: median(pairs.map((pair) => pair.ours)),
    theirs: median(pairs.map((pair) => pair.theirs)),
    ratio: median(ratios),
    interval: medianInterval(ratios),
    pairs: pairs.length,
  };
}

/**
 * Runs two measurements alternately, which one goes first changing each time. A measurement that fails fails the whole benchmark: a median of
 * what happened to work would be a lie.
 */
export async function interleave<T>(
  count: number,
  ours: () => Promise<T>,
  theirs: () => Promise<T>,
): Promise<readonly Pair<T>[]> {
  const pairs: Pair<T>[] = [];
  for (let i = 0; i < count; ++i) {
    if (i % 2 === 0) {
      const first = await ours();
      pairs.push({ ours: first, theirs: await theirs() });
    } else {
      const first = await theirs();
      pairs.push({ ours: await ours(), theirs: first });
    }
  }
  return pairs;
}
