/** The beginning of an incarnation: what the store knows decides whether the job starts, goes on, or is over already. */

import { JobError } from '../errors.ts';
import type { Claim } from '../store/types.ts';
import { errorCode, errorMessage } from '../util/error-facts.ts';
import type { RetryListener } from './connection.ts';
import { confinedEnvironment } from './cpu-baseline.ts';
import type { RunningProcess } from './engine.ts';
import { EXIT_CODES, type JobEnd } from './exit-status.ts';
import { deliverFinished } from './finished.ts';
import { knownLaterRun, markStarted } from './incarnation.ts';
import { resumeNewest } from './resume.ts';
import { isUsageError, type Session, warnLimited } from './session.ts';

export type Beginning =
  | { readonly kind: 'running'; readonly process: RunningProcess; readonly runtimeMs: number }
  /** The program ended while its last incarnation was being evicted: its result has been laid out. */
  | { readonly kind: 'finished'; readonly end: JobEnd };

/** A first run does not wait longer than this for a store before the program starts. */
const FIRST_CONNECT_MS = 15_000;

/**
 * Starts or resumes the job.
 * @throws {JobError} `ERR_JOB_STORE` (exit 75) when a later run cannot reach the store; what resumeNewest and launching throw.
 */
export async function begin(session: Session): Promise<Beginning> {
  const { options, home, connection } = session;
  const later = knownLaterRun(home, options.id, options.env);
  const claim = await connect(session, later);
  options.signal?.throwIfAborted();
  markStarted(home, options.id);
  if (claim === undefined) return await startFresh(session);
  session.events.emit('connected', { store: connection.url, epoch: claim.epoch });
  for (const error of claim.damaged) {
    const { code, message } = error;
    session.events.emit('warning', { code, message, consequence: 'this checkpoint is left out', error });
  }
  return await storeError(() => beginWith(session, claim));
}

async function beginWith(session: Session, claim: Claim): Promise<Beginning> {
  const { options, scratch, stdio } = session;
  const patiently = <T>(operation: () => Promise<T>): Promise<T> =>
    session.connection.retryWithin(options.storeWaitMs, operation, warnOf(session), options.signal);
  const signal = options.signal === undefined ? {} : { signal: options.signal };
  if (options.fresh) {
    await patiently(() => claim.retain(0, signal));
    return await startFresh(session);
  }
  const finished = await patiently(() => claim.finished(signal));
  if (finished !== undefined) {
    const end = await patiently(() => deliverFinished(finished, scratch, stdio));
    await patiently(() => claim.remove());
    return { kind: 'finished', end };
  }
  const summaries = await patiently(() => claim.checkpoints(signal));
  if (summaries.length === 0) return await startFresh(session);
  const begun = session.clock.now();
  const { engine, identity, events } = session;
  const { acceptChanged, newPids } = options;
  const resumed = await resumeNewest(
    {
      ...{ engine, claim, identity, scratch, stdio, events, acceptChanged, newPids, patiently },
      ...{ signal: options.signal, onStoreRequest: storeRequests(session) },
    },
    summaries,
  );
  const { runtimeMs } = resumed.summary.record;
  scratch.setInputs(session.inputs, resumed.stored.files);
  events.emit('started', {
    pid: resumed.process.pid,
    resumedFrom: resumed.summary.sequence,
    savedMs: runtimeMs,
    restartMs: session.clock.now() - begun,
  });
  return { kind: 'running', process: resumed.process, runtimeMs };
}

async function startFresh(session: Session): Promise<Beginning> {
  const { options, engine, scratch, stdio, events } = session;
  scratch.setInputs(session.inputs);
  const { command, args, cwd, cpuBaseline } = options;
  const env = cpuBaseline === undefined ? options.env : confinedEnvironment(options.env, cpuBaseline);
  const onLimitation = (message: string): void => warnLimited(events, message);
  const onStoreRequest = storeRequests(session);
  const request = { command, args, cwd, env, stdio: stdio.fds, cpuBaseline, onLimitation, onStoreRequest };
  const process = await engine.launch(request);
  events.emit('started', { pid: process.pid, resumedFrom: undefined, savedMs: 0, restartMs: 0 });
  return { kind: 'running', process, runtimeMs: 0 };
}

/** A program may ask before the job has been told that it runs. */
function storeRequests({ onStoreRequest }: Session): () => Promise<unknown> {
  return async () => await (await onStoreRequest.promise)();
}

/** A claim; undefined when this is (as far as anybody can tell) the first run and the store cannot be used yet. */
async function connect(session: Session, later: string | undefined): Promise<Claim | undefined> {
  const { connection, options, events } = session;
  try {
    if (later !== undefined)
      return await connection.connectWithin(options.storeWaitMs, warnOf(session), options.signal);
    const limit = AbortSignal.timeout(FIRST_CONNECT_MS);
    return await connection.connect(options.signal === undefined ? limit : AbortSignal.any([limit, options.signal]));
  } catch (error) {
    options.signal?.throwIfAborted();
    if (isUsageError(error)) throw error;
    if (later !== undefined) throw unreachable(error, later);
    events.emit('warning', {
      code: errorCode(error),
      message: `the store cannot be used yet: ${errorMessage(error)}`,
      consequence: 'the program is started; the store is tried again meanwhile',
      error,
    });
    return undefined;
  }
}

/** Errors of the store that lasted through all patience end this run, not the job. */
async function storeError<T>(operation: () => Promise<T>): Promise<T> {
  try {
    return await operation();
  } catch (error) {
    if (error instanceof JobError || errorCode(error) === 'ERR_STORE_FENCED' || isUsageError(error)) throw error;
    if (!errorCode(error).startsWith('ERR_STORE_') && !errorCode(error).startsWith('CHIRP_')) throw error;
    throw unreachable(error, 'the job is known to the store');
  }
}

const unreachable = (error: unknown, why: string): JobError =>
  new JobError(
    `The store cannot be used (${errorMessage(error)}), and the job must not start from the beginning: ${why}. Run it again when the store is back`,
    { code: 'ERR_JOB_STORE', exitCode: EXIT_CODES.temporary, cause: error },
  );

function warnOf({ events }: Session): RetryListener {
  return (error, pauseMs) =>
    events.emit('warning', {
      code: errorCode(error),
      message: errorMessage(error),
      consequence: `tried again in ${Math.round(pauseMs / 1000)} s`,
      error,
    });
}
