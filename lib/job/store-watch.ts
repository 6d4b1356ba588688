/** Looks after the way to the store while the job runs. */

import { JobError } from '../errors.ts';
import { sleep } from '../util/clock.ts';
import { errorCode, errorMessage } from '../util/error-facts.ts';
import type { Session } from './session.ts';

const FENCE_CHECK_MS = 30_000;

/**
 * Connects when that has not been possible yet, then looks every 30 s whether a newer incarnation has taken over.
 * @param onRefused Told of every failed try to connect.
 * @returns why the job must be stopped; undefined when `signal` ended the watch.
 */
export async function watchStore(
  session: Session,
  signal: AbortSignal,
  onRefused: (error: unknown) => void,
): Promise<'fenced' | JobError | undefined> {
  try {
    await connectLate(session, signal, onRefused);
    for (;;) {
      await sleep(session.clock, FENCE_CHECK_MS, signal);
      await checkFence(session, signal);
    }
  } catch (error) {
    if (signal.aborted) return undefined;
    if (errorCode(error) === 'ERR_STORE_FENCED') return 'fenced';
    return error instanceof JobError ? error : unexpected(error);
  }
}

async function connectLate(session: Session, signal: AbortSignal, onRefused: (error: unknown) => void): Promise<void> {
  const { connection, events, options } = session;
  if (connection.claim !== undefined) return;
  const claim = await connection.connectLate(onRefused, signal, options.fresh);
  if (options.fresh) await claim.retain(0, { signal });
  events.emit('connected', { store: connection.url, epoch: claim.epoch });
}

/** An unreachable store fences nobody: the next look decides. */
async function checkFence({ connection }: Session, signal: AbortSignal): Promise<void> {
  try {
    await connection.claim?.check({ signal });
  } catch (error) {
    if (errorCode(error) === 'ERR_STORE_FENCED') throw error;
  }
}

const unexpected = (cause: unknown): JobError =>
  new JobError(`The job could not be looked after any longer: ${errorMessage(cause)}`, {
    code: 'ERR_JOB_INTERNAL',
    cause,
  });
