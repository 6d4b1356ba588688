import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  decide,
  initialState,
  type PolicyAction,
  type PolicyEvent,
  type PolicyOptions,
  type PolicyState,
} from '../../lib/schedule/policy.ts';

const options: PolicyOptions = { firstMs: 60_000, everyMs: 3_600_000, jitter: 0.1, retryMs: 2000, retryMaxMs: 300_000 };

/** Feeds events and returns the last decision. */
function run(...events: PolicyEvent[]): { state: PolicyState; actions: readonly PolicyAction[] } {
  return events.reduce<{ state: PolicyState; actions: readonly PolicyAction[] }>(
    ({ state }, event) => decide(state, event, options),
    { state: initialState, actions: [] },
  );
}

const start = { type: 'start', at: 0, random: 0.5 } as const;
const first = { type: 'wake', at: 60_000 } as const;
const stored = { type: 'stored', at: 70_000, random: 0.5, bytes: 1000 } as const;

test('the first checkpoint is due after the first period, not before', () => {
  assert.deepEqual(run(start).actions, [{ type: 'wake', at: 60_000 }]);
  assert.deepEqual(run(start, { type: 'wake', at: 59_999 }).actions, [{ type: 'wake', at: 60_000 }]);
  assert.deepEqual(run(start, first).actions, [{ type: 'begin', reason: 'first' }]);
});

test('later ones are a period apart, counted from the beginning of the last, with a tenth of jitter', () => {
  assert.deepEqual(run(start, first, stored).actions, [{ type: 'wake', at: 60_000 + 3_600_000 }]);
  assert.deepEqual(run(start, first, { ...stored, random: 0 }).actions, [{ type: 'wake', at: 60_000 + 3_240_000 }]);
  const late = run(start, first, stored, { type: 'wake', at: 3_660_000 });
  assert.deepEqual(late.actions, [{ type: 'begin', reason: 'periodic' }]);
});

test('an upload longer than the period leaves the job a tenth of it', () => {
  const { actions } = run(start, first, { ...stored, at: 60_000 + 7_200_000 });
  assert.deepEqual(actions, [{ type: 'wake', at: 60_000 + 7_200_000 + 360_000 }]);
});

test('failures are retried with doubling pauses up to the longest', () => {
  let state = run(start, first).state;
  let at = 60_000;
  const pauses: number[] = [];
  for (let count = 0; count < 10; count += 1) {
    const failed = decide(state, { type: 'failed', at, random: 0.5 }, options);
    const wake = failed.actions[0];
    assert.equal(wake?.type, 'wake');
    const due = wake?.type === 'wake' ? wake.at : 0;
    pauses.push(due - at);
    at = due;
    state = decide(failed.state, { type: 'wake', at }, options).state;
  }
  assert.deepEqual(pauses.slice(0, 4), [2000, 4000, 8000, 16_000]);
  assert.equal(pauses.at(-1), 300_000);
});

test('a request during a checkpoint gets one of its own afterwards', () => {
  const asked = run(start, first, { type: 'request', at: 61_000 });
  assert.deepEqual(asked.actions, []);
  assert.deepEqual(decide(asked.state, stored, options).actions, [{ type: 'begin', reason: 'request' }]);
});

test('an eviction begins its checkpoint at once and stops when it is stored', () => {
  const vacating = run(start, { type: 'vacate', at: 10, deadline: 1000 });
  assert.deepEqual(vacating.actions, [
    { type: 'begin', reason: 'vacate' },
    { type: 'wake', at: 1000 },
  ]);
  assert.deepEqual(decide(vacating.state, { ...stored, at: 500 }, options).actions, [{ type: 'stop' }]);
});

test('an eviction replaces a running checkpoint when there is time for a newer one', () => {
  const vacating = run(start, first, { type: 'vacate', at: 61_000, deadline: 100_000 });
  assert.deepEqual(vacating.actions, [{ type: 'abandon' }, { type: 'wake', at: 80_500 }]);
  const next = decide(vacating.state, { type: 'failed', at: 61_100, random: 0 }, options);
  assert.equal(next.actions[0]?.type, 'begin');
  assert.deepEqual(next.actions[0], { type: 'begin', reason: 'vacate' });
});

test('an eviction lets a running checkpoint finish when only that fits', () => {
  const events = [start, first, stored, { type: 'wake', at: 3_660_000 }] as const;
  const vacating = run(...events, { type: 'vacate', at: 3_668_000, deadline: 3_671_000 });
  assert.deepEqual(vacating.actions, [{ type: 'wake', at: 3_671_000 }]);
  const done = decide(vacating.state, { ...stored, at: 3_670_000 }, options);
  assert.deepEqual(done.actions, [{ type: 'stop' }]);
});

test('an upload that clearly misses the deadline is abandoned, a slow start is not', () => {
  const vacating = run(start, first, stored, { type: 'vacate', at: 100_000, deadline: 110_000 });
  const after = (ms: number, bytes: number, shipped: number, queued: number): readonly PolicyAction[] =>
    decide(vacating.state, { type: 'progress', at: 100_000 + ms, bytes, shipped, queued }, options).actions;
  const goesOn = (actions: readonly PolicyAction[]): boolean => actions.every(({ type }) => type === 'wake');
  const givenUp = [{ type: 'abandon' }, { type: 'stop' }];
  assert.ok(goesOn(after(100, 1, 1, 1)));
  assert.deepEqual(after(5000, 100, 0, 0), givenUp);
  assert.ok(goesOn(after(5000, 600, 60, 60)));
  assert.deepEqual(after(3000, 1000, 10, 100), givenUp, 'all is read, a tenth is sent');
  assert.ok(goesOn(after(3000, 1000, 30, 100)));
  assert.ok(goesOn(after(5000, 1000, 0, 100)), 'what stands still may go on');
  // No further report: the next look decides.
  const slow = decide(
    vacating.state,
    { type: 'progress', at: 101_000, bytes: 1000, shipped: 20, queued: 100 },
    options,
  );
  assert.deepEqual(slow.actions, [{ type: 'wake', at: 101_500 }]);
  assert.deepEqual(decide(slow.state, { type: 'wake', at: 103_500 }, options).actions, givenUp);
});

test('an upload that stands still is given up, whatever share of it was sent', () => {
  const vacating = run(start, first, stored, { type: 'vacate', at: 100_000, deadline: 200_000 });
  assert.deepEqual(vacating.actions.at(-1), { type: 'wake', at: 150_000 });
  for (const shipped of [0, 100]) {
    const progress = { type: 'progress', bytes: 1000, shipped, queued: 100 } as const;
    const { state } = decide(vacating.state, { ...progress, at: 101_000 }, options);
    const again = decide(state, { ...progress, at: 110_000 }, options);
    const look = (at: number): readonly PolicyAction[] => decide(again.state, { type: 'wake', at }, options).actions;
    assert.deepEqual(look(147_000), [{ type: 'wake', at: 151_000 }]);
    assert.deepEqual(look(151_000), [{ type: 'abandon' }, { type: 'stop' }]);
  }
});

test('an eviction whose tries all fail ends when half of its time has passed without progress', () => {
  const vacating = run(start, { type: 'vacate', at: 0, deadline: 100_000 });
  const failed = decide(vacating.state, { type: 'failed', at: 40_000, random: 0.5 }, options);
  const second = decide(failed.state, { type: 'wake', at: 42_000 }, options);
  assert.deepEqual(second.actions, [
    { type: 'begin', reason: 'vacate' },
    { type: 'wake', at: 50_000 },
  ]);
  const read = { type: 'progress', at: 43_000, bytes: 1000, shipped: 0, queued: 100 } as const;
  const standing = decide(second.state, read, options);
  assert.deepEqual(decide(standing.state, { type: 'wake', at: 50_000 }, options).actions, [
    { type: 'abandon' },
    { type: 'stop' },
  ]);
  const sent = decide(second.state, { ...read, shipped: 90 }, options);
  assert.equal(sent.state.silentAt, 93_000);
});

test('the first checkpoint of an eviction is judged by what is sent of it', () => {
  const vacating = run(start, { type: 'vacate', at: 0, deadline: 10_000 });
  const progress = { type: 'progress', at: 4000, bytes: 1000, shipped: 10, queued: 1000 } as const;
  assert.deepEqual(decide(vacating.state, progress, options).actions, [{ type: 'abandon' }, { type: 'stop' }]);
});

test('jobs started together do not meet at their first checkpoint either', () => {
  assert.deepEqual(run({ ...start, random: 0 }).actions, [{ type: 'wake', at: 54_000 }]);
});

test('a job that leaves with its checkpoints stops with each, and runs on when one fails', () => {
  const leaving = { ...options, leaves: true };
  const { state } = run(start, first);
  assert.deepEqual(decide(state, stored, leaving).actions, [{ type: 'stop' }]);
  const failed = decide(state, { type: 'failed', at: 61_000, random: 0.5 }, leaving);
  assert.deepEqual(failed.actions, [{ type: 'wake', at: 63_000 }]);
});

test('a failed last checkpoint is tried again until the deadline, then the eviction is over', () => {
  const vacating = run(start, { type: 'vacate', at: 0, deadline: 5000 });
  const failed = decide(vacating.state, { type: 'failed', at: 100, random: 0.5 }, options);
  assert.deepEqual(failed.actions, [{ type: 'wake', at: 2100 }]);
  const again = decide(failed.state, { type: 'wake', at: 2100 }, options);
  assert.deepEqual(again.actions[0], { type: 'begin', reason: 'vacate' });
  const over = decide(again.state, { type: 'wake', at: 5000 }, options);
  assert.deepEqual(over.actions, [{ type: 'abandon' }, { type: 'stop' }]);
});

test('nothing happens after the end', () => {
  const ended = run(start, first, { type: 'ended', at: 61_000 });
  assert.deepEqual(ended.actions, [{ type: 'abandon' }]);
  for (const event of [stored, first, { type: 'vacate', at: 62_000, deadline: 63_000 }] as const) {
    assert.deepEqual(decide(ended.state, event, options).actions, []);
  }
});
