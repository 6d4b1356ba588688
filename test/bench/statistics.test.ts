import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compare, interleave, median, medianInterval } from '../../bench/support/statistics.ts';

test('medians of odd, even and unsorted samples', () => {
  assert.equal(median([3]), 3);
  assert.equal(median([9, 1, 5]), 5);
  assert.equal(median([4, 1, 3, 2]), 2.5);
  assert.throws(() => median([]));
});

test('the interval encloses the median and narrows with the spread', () => {
  const wide = Array.from({ length: 30 }, (_, index) => 100 + (index % 10) * 10);
  const narrow = wide.map((value) => 100 + (value - 100) / 100);
  for (const values of [wide, narrow]) {
    const { low, high } = medianInterval(values);
    assert.ok(low <= median(values) && median(values) <= high);
  }
  const width = (values: readonly number[]) => medianInterval(values).high - medianInterval(values).low;
  assert.ok(width(narrow) < width(wide));
  assert.deepEqual(medianInterval([7, 7, 7, 7]), { low: 7, high: 7 });
});

test('a ratio is that of each pair, so that drift of the machine cancels', () => {
  const pairs = [1, 2, 4, 8, 16].map((speed) => ({ ours: 3 * speed, theirs: 2 * speed }));
  const result = compare(pairs);
  assert.equal(result.ratio, 1.5);
  assert.deepEqual(result.interval, { low: 1.5, high: 1.5 });
});

test('the order alternates', async () => {
  const order: string[] = [];
  const measure = (name: string) => async () => order.push(name);
  assert.equal((await interleave(3, measure('a'), measure('b'))).length, 3);
  assert.deepEqual(order, ['a', 'b', 'b', 'a', 'a', 'b']);
});

test('one failed run fails the benchmark', async () => {
  let calls = 0;
  const failing = async () => {
    if (++calls === 3) throw new Error('dump failed');
    return 1;
  };
  await assert.rejects(
    interleave(5, failing, async () => 1),
    /dump failed/,
  );
});
