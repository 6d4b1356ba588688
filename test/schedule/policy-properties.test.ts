import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  decide,
  initialState,
  type PolicyAction,
  type PolicyEvent,
  type PolicyState,
} from '../../lib/schedule/policy.ts';

const options = { firstMs: 100, everyMs: 1000, jitter: 0.1, retryMs: 20, retryMaxMs: 500 };

/** A step of the world: time passes, then something happens; completions only when a checkpoint is under way. */
const step = fc.record({
  delay: fc.integer({ min: 0, max: 2000 }),
  kind: fc.constantFrom('wake', 'request', 'progress', 'stored', 'failed', 'vacate', 'ended', 'start'),
  random: fc.double({ min: 0, max: 0.999, noNaN: true }),
  bytes: fc.integer({ min: 0, max: 10_000 }),
});
const story = fc.array(step, { minLength: 1, maxLength: 60 });

interface Trace {
  readonly event: PolicyEvent;
  readonly before: PolicyState;
  readonly actions: readonly PolicyAction[];
  readonly isActive: boolean;
}

function play(steps: readonly { delay: number; kind: string; random: number; bytes: number }[]): Trace[] {
  let { state } = decide(initialState, { type: 'start', at: 0, random: 0.5 }, options);
  let at = 0;
  let isActive = false;
  const traces: Trace[] = [];
  for (const { delay, kind, random, bytes } of steps) {
    at += delay;
    if ((kind === 'stored' || kind === 'failed' || kind === 'progress') && !isActive) continue;
    const event = {
      type: kind,
      at,
      random,
      bytes,
      shipped: bytes / 2,
      queued: bytes,
      deadline: at + bytes,
    } as unknown as PolicyEvent;
    const before = state;
    const decision = decide(state, event, options);
    if (kind === 'stored' || kind === 'failed') isActive = false;
    traces.push({ event, before, actions: decision.actions, isActive });
    if (decision.actions.some(({ type }) => type === 'begin')) isActive = true;
    state = decision.state;
  }
  return traces;
}

test('never two checkpoints at once', () => {
  fc.assert(
    fc.property(story, (steps) => {
      for (const { actions, isActive } of play(steps)) {
        const begun = actions.filter(({ type }) => type === 'begin').length;
        assert.ok(begun + (isActive ? 1 : 0) <= 1);
      }
    }),
  );
});

test('at most one stop, and nothing after it', () => {
  fc.assert(
    fc.property(story, (steps) => {
      const actions = play(steps).flatMap((trace) => trace.actions);
      const stop = actions.findIndex(({ type }) => type === 'stop');
      if (stop >= 0) assert.equal(stop, actions.length - 1);
    }),
  );
});

test('while the job runs, the next one is due neither in the past nor later than a period with jitter', () => {
  fc.assert(
    fc.property(story, (steps) => {
      for (const { actions, event, before } of play(steps)) {
        if (before.phase !== 'running' || (event.type !== 'stored' && event.type !== 'failed')) continue;
        for (const action of actions) {
          if (action.type !== 'wake') continue;
          assert.ok(action.at >= event.at);
          assert.ok(action.at <= event.at + options.everyMs * 1.1 + 1e-6);
        }
      }
    }),
  );
});

test('an eviction always ends by its deadline when wake-ups arrive', () => {
  fc.assert(
    fc.property(story, fc.integer({ min: 1, max: 5000 }), (steps, span) => {
      const calm = steps.filter(({ kind }) => kind !== 'vacate' && kind !== 'ended');
      const traces = play(calm);
      const last = traces.at(-1);
      let state =
        last === undefined ? decide(initialState, { type: 'start', at: 0, random: 0.5 }, options).state : last.before;
      const at = last?.event.at ?? 0;
      const begun = decide(state, { type: 'vacate', at, deadline: at + span }, options);
      state = begun.state;
      const over = decide(state, { type: 'wake', at: at + span }, options);
      const actions = [...begun.actions, ...over.actions];
      assert.ok(actions.some(({ type }) => type === 'stop'));
    }),
  );
});

test('deciding changes nothing but what it returns', () => {
  fc.assert(
    fc.property(story, (steps) => {
      for (const { event, before } of play(steps)) {
        const copy = structuredClone(before);
        decide(before, event, options);
        assert.deepEqual(before, copy);
      }
    }),
  );
});
