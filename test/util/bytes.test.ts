import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UsageError } from '../../lib/errors.ts';
import { formatBytes, parseRate } from '../../lib/util/bytes.ts';

test('sizes for people', () => {
  assert.equal(formatBytes(812), '812 bytes');
  assert.equal(formatBytes(3.4 * 1024 * 1024), '3.4 MiB');
});

test('rates as people write them', () => {
  const cases: Readonly<Record<string, number>> = {
    '1000': 1000,
    '500kB': 500_000,
    '5MB/s': 5_000_000,
    '20M': 20_000_000,
    '1.5 MiB': 1_572_864,
    '1GiB/s': 2 ** 30,
  };
  for (const [text, expected] of Object.entries(cases)) assert.equal(parseRate(text, '--max-rate'), expected, text);
  for (const text of ['', 'fast', '-5MB', '5TB', '5MBs', '5 MB s'])
    assert.throws(() => parseRate(text, '--max-rate'), UsageError, text);
});
