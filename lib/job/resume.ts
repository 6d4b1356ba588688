/** Going on from a checkpoint: the newest complete one that can be restarted, on this node, in this directory. */

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { PendingRestart, RestartResult } from '../checkpoint/types.ts';
import { JobError, RestartError } from '../errors.ts';
import type { CheckpointRecord, CheckpointSummary, Claim, JobIdentity, StoredCheckpoint } from '../store/types.ts';
import { errorCode, errorMessage } from '../util/error-facts.ts';
import type { Engine, RunningProcess } from './engine.ts';
import type { JobEvents } from './events.ts';
import { EXIT_CODES } from './exit-status.ts';
import { compareIdentity } from './identity.ts';
import { placesOf, planRelocation, type Relocation } from './places.ts';
import type { ScratchFiles } from './scratch.ts';
import { OWN_DIRECTORY } from './scratch-owner.ts';
import type { JobStdio } from './stdio.ts';

export interface ResumeParts {
  readonly engine: Engine;
  readonly claim: Claim;
  readonly identity: JobIdentity;
  readonly scratch: ScratchFiles;
  readonly stdio: JobStdio;
  readonly events: JobEvents;
  readonly acceptChanged: boolean;
  /** Process ids that are taken here may be exchanged for new ones. */
  readonly newPids: boolean;
  readonly signal: AbortSignal | undefined;
  readonly onStoreRequest: () => Promise<unknown>;
  /** Repeats what failed for want of the store. */
  readonly patiently: <T>(operation: () => Promise<T>) => Promise<T>;
}

export interface Resumed {
  readonly process: RunningProcess;
  readonly summary: CheckpointSummary;
  readonly stored: StoredCheckpoint;
}

/**
 * Restarts the newest checkpoint that can be.
 * @param summaries Newest first, not empty.
 * @throws {JobError} `ERR_JOB_CHANGED` (exit 86) when program, arguments or inputs differ; `ERR_JOB_NODE` (exit 75) when this node is at
 * fault; `ERR_JOB_UNRESTARTABLE` (exit 86) when none can be restarted anywhere. Nothing is deleted in any case.
 */
export async function resumeNewest(parts: ResumeParts, summaries: readonly CheckpointSummary[]): Promise<Resumed> {
  const failures: string[] = [];
  for (const summary of summaries) {
    try {
      return await resumeFrom(parts, summary);
    } catch (error) {
      parts.signal?.throwIfAborted();
      if (!isCheckpointAtFault(error)) throw resumeError(error);
      failures.push(`checkpoint ${summary.sequence}: ${errorMessage(error)}`);
      parts.events.emit('warning', {
        code: errorCode(error),
        message: `checkpoint ${summary.sequence} cannot be restarted: ${errorMessage(error)}`,
        consequence: summary === summaries.at(-1) ? 'there is no older one' : 'the next older one is tried',
        error,
      });
    }
  }
  throw new JobError(`No checkpoint of ${parts.claim.jobId} can be restarted\n${failures.join('\n')}`, {
    code: 'ERR_JOB_UNRESTARTABLE',
    exitCode: EXIT_CODES.unrestartable,
  });
}

/** Stored data that is bad by itself; a store that is full, closed to us or not there is not. */
const BAD_DATA = new Set([
  'ERR_STORE_CORRUPT',
  'ERR_STORE_AUTH',
  'ERR_STORE_VERSION',
  'ERR_STORE_CONTEXT',
  'ERR_STORE_NOT_FOUND',
]);

function isCheckpointAtFault(error: unknown): boolean {
  return error instanceof RestartError ? error.blame !== 'node' : BAD_DATA.has(errorCode(error));
}

async function resumeFrom(parts: ResumeParts, summary: CheckpointSummary): Promise<Resumed> {
  const { claim, scratch, stdio, patiently, signal } = parts;
  const options = signal === undefined ? {} : { signal };
  const stored = await patiently(() => claim.open(summary.sequence, options));
  checkIdentity(parts, summary, stored);
  await patiently(() => stored.extractFiles(scratch.root, options));
  const own = join(scratch.root, OWN_DIRECTORY);
  await mkdir(own, { recursive: true });
  await patiently(() => stdio.layOut(stored, summary.record.engine, own));
  scratch.earlier = placesOf(summary.record);
  const restarted = await patiently(() => restartWithIds(parts, stored, summary));
  return { process: parts.engine.adopt(restarted), summary, stored };
}

function checkIdentity(parts: ResumeParts, summary: CheckpointSummary, stored: StoredCheckpoint): void {
  if (summary.record.provider !== parts.engine.kind) {
    throw new JobError(
      `Checkpoint ${summary.sequence} was written by ${summary.record.provider}, and this node has ${parts.engine.kind}`,
      { code: 'ERR_JOB_NODE', exitCode: EXIT_CODES.temporary },
    );
  }
  const differences = compareIdentity(summary.record.identity, parts.identity, stored.files);
  if (differences.length === 0) return;
  const text = differences.join('; ');
  if (!parts.acceptChanged) {
    throw new JobError(`${parts.claim.jobId} is not the job that was checkpointed: ${text}`, {
      code: 'ERR_JOB_CHANGED',
      exitCode: EXIT_CODES.unrestartable,
    });
  }
  parts.events.emit('warning', { code: 'ERR_JOB_CHANGED', message: text, consequence: 'accepted, as was asked for' });
}

/** Under the recorded process ids, or once more under new ones when these are taken and the user has allowed it. */
async function restartWithIds(
  parts: ResumeParts,
  stored: StoredCheckpoint,
  summary: CheckpointSummary,
): Promise<RestartResult> {
  try {
    return await restart(parts, stored, summary, true);
  } catch (error) {
    const cause = error instanceof JobError ? error.cause : error;
    if (!parts.newPids || errorCode(cause) !== 'EBUSY') throw error;
    parts.events.emit('warning', {
      code: 'EBUSY',
      message: errorMessage(error),
      consequence: 'the job is restarted under new process ids, as was allowed',
      error,
    });
    return await restart(parts, stored, summary, false);
  }
}

async function restart(
  parts: ResumeParts,
  stored: StoredCheckpoint,
  { record }: CheckpointSummary,
  restorePid: boolean,
): Promise<RestartResult> {
  const { engine, signal } = parts;
  const plan = await planRelocation(parts.scratch.earlier, parts.scratch.root, parts.scratch.own);
  const pending = request(parts, plan, record, restorePid);
  if (pending.context === undefined) throw new JobError('The engine takes no stream', { code: 'ERR_JOB_INTERNAL' });
  const fed = stored.writeContext(pending.context, signal === undefined ? {} : { signal });
  const [engineEnd, storeEnd] = await Promise.allSettled([pending.done, fed]);
  if (storeEnd.status === 'rejected') {
    // The stream was bad or broke off. Should the engine have been content with it, what runs must not.
    if (engineEnd.status === 'fulfilled') engine.adopt(engineEnd.value).kill();
    throw storeEnd.reason;
  }
  if (engineEnd.status === 'rejected') throw nodeError(engineEnd.reason);
  return engineEnd.value;
}

function request(
  { engine, stdio, signal, onStoreRequest }: ResumeParts,
  { relocate, binds }: Relocation,
  record: CheckpointRecord,
  restorePid: boolean,
): PendingRestart {
  // Genuine BLCR restarts with this process's own stdio, opens files as stdio by their paths, and relocates without binding.
  const places =
    engine.kind === 'userspace'
      ? { relocate, binds, stdio: stdio.fds, onStoreRequest }
      : { relocate: [...relocate, ...stdio.relocations(record.engine)] };
  const abort = signal === undefined ? {} : { abort: signal };
  try {
    return engine.restart({ from: 'pipe', restorePid, ...places, ...abort });
  } catch (error) {
    throw nodeError(error);
  }
}

/** Converted here, because such an error calls itself retriable, and it is: elsewhere. */
function nodeError(error: unknown): unknown {
  return error instanceof RestartError && error.blame === 'node' ? resumeError(error) : error;
}

/** Whatever else keeps a job from going on here: another node, or the same one later, may do. */
function resumeError(error: unknown): unknown {
  if (error instanceof JobError || errorCode(error) === 'ERR_STORE_FENCED') return error;
  return new JobError(`This node cannot restart the job: ${errorMessage(error)}`, {
    code: 'ERR_JOB_NODE',
    exitCode: EXIT_CODES.temporary,
    cause: error,
  });
}
