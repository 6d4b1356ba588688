/**
 * When a job is checkpointed, as a pure function: state and event in, state and actions out. No clock, no timer, no random source of its
 * own: every event carries its time (milliseconds of a clock that never jumps) and, where a choice is random, a number in [0, 1).
 *
 * Rules: never two checkpoints at once; the first one soon, so that a refusal is learnt at once; then one every period, all of them give or
 * take the jitter, so that a thousand jobs started together do not meet at the server; a failed one is tried again with back-off; an
 * eviction comes first, and an upload that cannot make its deadline, or does not go on at all, is given up.
 */

import { patienceMs, predictsMiss, shouldReplace, type UploadProgress } from './prediction.ts';

export type CheckpointReason = 'first' | 'periodic' | 'request' | 'vacate';

export interface PolicyOptions {
  /** Milliseconds from the start to the first checkpoint. */
  readonly firstMs: number;
  /** Milliseconds from one checkpoint to the next. */
  readonly everyMs: number;
  /** Share of the period by which it varies, 0 to 1. */
  readonly jitter: number;
  /** Milliseconds before the first retry; doubles with each failure. */
  readonly retryMs: number;
  /** Longest pause between retries in milliseconds. */
  readonly retryMaxMs: number;
  /** The job leaves with each checkpoint, and goes on from it when it is run again. Default false. */
  readonly leaves?: boolean;
}

export interface ActiveCheckpoint {
  readonly reason: CheckpointReason;
  readonly since: number;
  /** Asked to stop; its end has not been reported yet. */
  readonly abandoned: boolean;
  /** As last reported. */
  readonly progress: UploadProgress | undefined;
}

export interface PolicyState {
  readonly phase: 'new' | 'running' | 'vacating' | 'over';
  readonly active: ActiveCheckpoint | undefined;
  /** When the next checkpoint (or, while vacating, the next try) is due. */
  readonly next: number;
  /** Somebody asked for a checkpoint while another was being taken. */
  readonly wanted: boolean;
  readonly hasStored: boolean;
  readonly failures: number;
  /** Milliseconds the last stored checkpoint took and the bytes it had, for predictions. */
  readonly lastMs: number | undefined;
  readonly lastBytes: number | undefined;
  readonly deadline: number;
  /** Milliseconds without progress after which an eviction is given up, and when that is. Never after the deadline. */
  readonly silentMs: number;
  readonly silentAt: number;
}

export type PolicyEvent =
  | { readonly type: 'start'; readonly at: number; readonly random: number }
  | { readonly type: 'wake'; readonly at: number }
  | { readonly type: 'request'; readonly at: number }
  | ({ readonly type: 'progress'; readonly at: number } & UploadProgress)
  | { readonly type: 'stored'; readonly at: number; readonly random: number; readonly bytes: number }
  | { readonly type: 'failed'; readonly at: number; readonly random: number }
  | { readonly type: 'vacate'; readonly at: number; readonly deadline: number }
  | { readonly type: 'ended'; readonly at: number };

export type PolicyAction =
  /** Begin a checkpoint now. */
  | { readonly type: 'begin'; readonly reason: CheckpointReason }
  /** Abort the one being taken; the job is not touched. */
  | { readonly type: 'abandon' }
  /** The eviction is over, with or without a new checkpoint: the job may be killed. */
  | { readonly type: 'stop' }
  /** Send `wake` at this time; replaces any earlier appointment. */
  | { readonly type: 'wake'; readonly at: number };

export interface Decision {
  readonly state: PolicyState;
  readonly actions: readonly PolicyAction[];
}

/** Of the time that an eviction has. */
const LOOK_SHARE = 0.05;

export const initialState: PolicyState = {
  phase: 'new',
  active: undefined,
  next: Number.POSITIVE_INFINITY,
  wanted: false,
  hasStored: false,
  failures: 0,
  lastMs: undefined,
  lastBytes: undefined,
  deadline: Number.POSITIVE_INFINITY,
  silentMs: Number.POSITIVE_INFINITY,
  silentAt: Number.POSITIVE_INFINITY,
};

/** Decides what `event` means. Events that make no sense in this state (a wake that came late, anything after the end) change nothing. */
export function decide(state: PolicyState, event: PolicyEvent, options: PolicyOptions): Decision {
  if (state.phase === 'over') return { state, actions: [] };
  switch (event.type) {
    case 'start':
      return state.phase === 'new'
        ? appoint({ ...state, phase: 'running', next: event.at + varied(options.firstMs, event.random, options) })
        : same(state);
    case 'wake':
      return onWake(state, event.at);
    case 'request':
      if (state.phase !== 'running') return same(state);
      return state.active === undefined ? begin(state, 'request', event.at) : same({ ...state, wanted: true });
    case 'progress':
      return onProgress(state, event);
    case 'stored':
      return onStored(state, event, options);
    case 'failed':
      return onFailed(state, event, options);
    case 'vacate':
      return onVacate(state, event.at, event.deadline);
    case 'ended':
      return {
        state: { ...state, phase: 'over' },
        actions: state.active === undefined || state.active.abandoned ? [] : [{ type: 'abandon' }],
      };
  }
}

const same = (state: PolicyState): Decision => ({ state, actions: [] });

const varied = (ms: number, random: number, { jitter }: PolicyOptions): number => ms * (1 + jitter * (2 * random - 1));

function appoint(state: PolicyState): Decision {
  const at = state.phase === 'vacating' ? Math.min(state.next, state.silentAt) : state.next;
  return { state, actions: [{ type: 'wake', at }] };
}

function begin(state: PolicyState, reason: CheckpointReason, at: number): Decision {
  const next: PolicyState = {
    ...state,
    active: { reason, since: at, abandoned: false, progress: undefined },
    wanted: false,
  };
  const actions: PolicyAction[] = [{ type: 'begin', reason }];
  if (state.phase === 'vacating') actions.push({ type: 'wake', at: state.silentAt });
  return { state: next, actions };
}

/** The eviction ends here; an upload still under way is given up. */
function stop(state: PolicyState): Decision {
  const actions: PolicyAction[] = [];
  if (state.active !== undefined && !state.active.abandoned) actions.push({ type: 'abandon' });
  actions.push({ type: 'stop' });
  return { state: { ...state, phase: 'over' }, actions };
}

function onWake(state: PolicyState, at: number): Decision {
  if (state.phase === 'vacating') {
    if (at >= state.silentAt) return stop(state);
    if (state.active !== undefined) return judge(state, state.active, at);
    return at >= state.next ? begin(state, 'vacate', at) : appoint(state);
  }
  if (state.phase !== 'running' || state.active !== undefined) return same(state);
  return at >= state.next ? begin(state, state.hasStored ? 'periodic' : 'first', at) : appoint(state);
}

function onProgress(state: PolicyState, event: { readonly at: number } & UploadProgress): Decision {
  if (state.active === undefined) return same(state);
  const { at, bytes, queued, shipped } = event;
  const { progress } = state.active;
  // A second try reads again what the first has read: that alone is no progress.
  const isRead = state.failures === 0 && (bytes !== progress?.bytes || queued !== progress.queued);
  const goesOn = isRead || shipped > (progress?.shipped ?? 0);
  const active = { ...state.active, progress: { bytes, queued, shipped } };
  const silentAt = goesOn ? Math.min(state.deadline, at + state.silentMs) : state.silentAt;
  const next = { ...state, active, silentAt };
  return state.phase === 'vacating' && !active.abandoned ? judge(next, active, at) : same(next);
}

/** Gives up what cannot make the deadline; what may is looked at again soon, because an upload that has become slow reports seldom. */
function judge(state: PolicyState, { progress, since, abandoned }: ActiveCheckpoint, at: number): Decision {
  const { lastBytes: expectedBytes, deadline } = state;
  if (progress === undefined || abandoned) return { state, actions: [{ type: 'wake', at: state.silentAt }] };
  if (predictsMiss({ ...progress, at, since, expectedBytes, deadline })) return stop(state);
  return { state, actions: [{ type: 'wake', at: Math.min(state.silentAt, at + (deadline - since) * LOOK_SHARE) }] };
}

function onStored(
  state: PolicyState,
  event: { readonly at: number; readonly random: number; readonly bytes: number },
  options: PolicyOptions,
): Decision {
  const { active } = state;
  if (active === undefined) return same(state);
  const period = varied(options.everyMs, event.random, options);
  const settled: PolicyState = {
    ...state,
    active: undefined,
    hasStored: true,
    failures: 0,
    lastMs: event.at - active.since,
    lastBytes: event.bytes,
    // Periods count from beginning to beginning, but a job whose upload takes longer than its period keeps a tenth of it to itself.
    next: Math.max(active.since + period, event.at + period / 10),
  };
  if (settled.phase === 'vacating') {
    const isEnough = active.reason === 'vacate' || event.at + (settled.lastMs ?? 0) > settled.deadline;
    return isEnough ? stop(settled) : begin(settled, 'vacate', event.at);
  }
  if (options.leaves === true) return stop(settled);
  return settled.wanted ? begin(settled, 'request', event.at) : appoint(settled);
}

function onFailed(
  state: PolicyState,
  event: { readonly at: number; readonly random: number },
  options: PolicyOptions,
): Decision {
  const { active } = state;
  if (active === undefined) return same(state);
  if (state.phase === 'vacating' && active.reason !== 'vacate') {
    return begin({ ...state, active: undefined, failures: 0 }, 'vacate', event.at);
  }
  const failures = state.failures + 1;
  const longest = state.phase === 'vacating' ? options.retryMaxMs : Math.min(options.retryMaxMs, options.everyMs);
  const pause = Math.min(longest, options.retryMs * 2 ** Math.min(failures - 1, 30));
  const next = event.at + varied(pause, event.random, options);
  const settled: PolicyState = { ...state, active: undefined, failures, next };
  return settled.wanted && settled.phase === 'running' ? begin(settled, 'request', event.at) : appoint(settled);
}

function onVacate(state: PolicyState, at: number, deadline: number): Decision {
  if (state.phase === 'vacating') return same(state);
  const silentMs = patienceMs(deadline - at);
  const times = { next: at, deadline, silentMs, silentAt: Math.min(deadline, at + silentMs) };
  const vacating: PolicyState = { ...state, ...times, phase: 'vacating', wanted: false, failures: 0 };
  if (at >= deadline) return stop(vacating);
  const { active } = state;
  if (active === undefined) return begin(vacating, 'vacate', at);
  if (active.abandoned || !shouldReplace({ at, since: active.since, lastMs: state.lastMs, deadline })) {
    return { state: vacating, actions: [{ type: 'wake', at: vacating.silentAt }] };
  }
  return {
    state: { ...vacating, active: { ...active, abandoned: true } },
    actions: [{ type: 'abandon' }, { type: 'wake', at: vacating.silentAt }],
  };
}
