import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatBytes } from '../../lib/util/bytes.ts';
import { formatDuration, parseDuration } from '../../lib/util/duration.ts';

test('durations with units and decimals', () => {
  const cases = { '30s': 30_000, '1.5h': 5_400_000, '60m': 3_600_000, '2d': 172_800_000, '250ms': 250, '.5s': 500 };
  for (const [text, ms] of Object.entries(cases)) assert.equal(parseDuration(text, 'x'), ms);
});

test('a bare number needs a unit to be agreed on', () => {
  assert.equal(parseDuration('60', 'period', 'm'), 3_600_000);
  assert.equal(parseDuration('0.04', 'period', 'm'), 2400);
  assert.throws(() => parseDuration('60', '--every'), { code: 'ERR_USAGE', message: /--every: '60'/ });
});

test('what is not a duration', () => {
  for (const text of ['', 's', '-5s', '5 weeks', '1e3s', '1,5h', 'Infinity', '99999d']) {
    assert.throws(() => parseDuration(text, 'x', 'm'), { code: 'ERR_USAGE' }, text);
  }
});

test('for people', () => {
  assert.equal(formatDuration(0.4), '0.40 ms');
  assert.equal(formatDuration(75), '75 ms');
  assert.equal(formatDuration(12_340), '12.3 s');
  assert.equal(formatDuration(245_000), '4 min 05 s');
  assert.equal(formatDuration(7_800_000), '2 h 10 min');
  assert.equal(formatBytes(812), '812 bytes');
  assert.equal(formatBytes(3_565_158), '3.4 MiB');
});
