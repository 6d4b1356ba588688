import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BlcrError } from '../../lib/errors.ts';
import { backoffMs, pause, retry } from '../../lib/util/retry.ts';

const passing = new BlcrError('later', { code: 'EAGAIN', retriable: true });
const final = new BlcrError('no', { code: 'EPERM' });

test('tries again what says so, as often as allowed, and gives the last error', async () => {
  let tries = 0;
  const failing = async (): Promise<never> => {
    tries += 1;
    throw passing;
  };
  await assert.rejects(retry(failing, { attempts: 3, baseMs: 1 }), passing);
  assert.equal(tries, 3);
  tries = 0;
  await assert.rejects(retry(failing, { attempts: 1 }), passing);
  assert.equal(tries, 1);
});

test('gives the result of the first success and tells about each retry', async () => {
  const told: number[] = [];
  const result = await retry(
    async (attempt) => {
      if (attempt < 3) throw passing;
      return attempt;
    },
    { baseMs: 1, onRetry: (_error, attempt) => told.push(attempt) },
  );
  assert.equal(result, 3);
  assert.deepEqual(told, [1, 2]);
});

test('does not repeat what is final, nor foreign errors', async () => {
  for (const error of [final, new Error('other'), 'text']) {
    let tries = 0;
    await assert.rejects(
      retry(async () => {
        tries += 1;
        throw error;
      }),
      (thrown) => thrown === error,
    );
    assert.equal(tries, 1);
  }
});

test('an abort ends the pause at once, with its own reason', async () => {
  const controller = new AbortController();
  const reason = new Error('enough');
  const started = Date.now();
  setTimeout(() => controller.abort(reason), 5);
  const running = retry(() => Promise.reject(passing), { baseMs: 60_000, maxMs: 60_000, signal: controller.signal });
  await assert.rejects(running, reason);
  await assert.rejects(pause(1000, controller.signal), reason);
  assert.ok(Date.now() - started < 5000);
});

test('pauses double up to the limit, half of each is random', () => {
  const steps = (random: number): number[] =>
    [1, 2, 3, 10].map((n) => backoffMs(n, { baseMs: 100, maxMs: 1000 }, () => random));
  assert.deepEqual(steps(0), [50, 100, 200, 500]);
  assert.deepEqual(steps(1), [100, 200, 400, 1000]);
});
