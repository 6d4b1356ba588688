/** A program's checkpoint of itself. */
import { closeSync, fsyncSync, openSync, renameSync, rmSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { CheckpointError, UsageError } from '../errors.ts';
import type { NativeBinding, RequestHandle } from '../native/binding.ts';
import { errorCode } from '../util/error-facts.ts';
import { CRX_CHKPT_SYNC } from './constants.ts';
import { checkpointError } from './errors.ts';
import { completeRequest, Interruption, type Outcome } from './pending.ts';
import { openProvider } from './provider.ts';
import { startCheckpoint } from './request.ts';
import type { PendingCheckpoint, Provider, SelfCheckpointOptions } from './types.ts';

/** The answer of libcr in the copy that a restart has made of the requester. */
const RESTARTED = 'CR_ERESTARTED';
/** Between two looks whether another checkpoint of the job is over. */
const BUSY_MS = 50;
/** Words of a wrapper that could not take the checkpoint: the code of its error, then the message. */
const WRAPPERS_ERROR = /^([A-Z][A-Z0-9_]+) /;

/**
 * Checkpoints the calling program, descendants included. Worker threads, timers, files, sockets within the job and child processes go on in
 * both lives; the value tells them apart.
 *
 * With `file` the context is written there, replacing an older one only when it is complete and on disk: `blcr restart FILE` and
 * requestRestart() bring it back. Without, whoever runs the job (`blcr run`, Job) checkpoints all of it into the job's store.
 *
 * @returns `continued` when the checkpoint is complete; `restarted` in the program that was brought back from it, or, without `file`, from
 *   another one that was taken while this call was under way
 * @throws {CheckpointError} the program runs on. `ERR_NO_KEEPER`: not started by `blcr run`, launchProgram() or cr_run; `ERR_NO_STORE`: the
 *   job has no store; the code of the wrapper's or the store's error; else as requestCheckpoint. `ABORT_ERR` ends the waiting only when there
 *   is no `file`: the wrapper's checkpoint is not given up
 * @throws {UsageError} bad arguments; {NativeLoadError} when no libcr can be loaded; the system's errors when `file` cannot be made
 * @example
 *   if ((await checkpointSelf()) === 'restarted') reconnect();
 */
export async function checkpointSelf(
  options: SelfCheckpointOptions = {},
  provider: Provider = openProvider(),
): Promise<'continued' | 'restarted'> {
  const { file, ...rest } = options;
  if (file !== undefined) return await intoFile(file, rest, provider);
  const foreign = Object.keys(rest).filter((name) => name !== 'abort');
  if (foreign.length > 0) throw new UsageError(`${foreign.join(', ')}: only with a file; the job has its own options`);
  return await intoStore(options.abort, provider);
}

async function intoFile(
  file: string,
  options: Omit<SelfCheckpointOptions, 'file'>,
  provider: Provider,
): Promise<'continued' | 'restarted'> {
  const unfinished = `${file}.${process.pid}.new`;
  // A file of another call that is open now would be asked for when this program is restarted, by the name that it has lost since.
  while (!provider.binding.takeTurn()) {
    if (options.abort?.aborted === true) throw failure('ABORT_ERR', 'was aborted', '', options.abort.reason);
    await delay(BUSY_MS);
  }
  try {
    await whenNotBusy(() => write(unfinished, options, provider), options.abort);
    if (provider.info.kind !== 'userspace') syncFile(unfinished);
    renameSync(unfinished, file);
    return 'continued';
  } catch (error) {
    // Elsewhere the file has its own name by now.
    if (errorCode(error) === RESTARTED) return 'restarted';
    rmSync(unfinished, { force: true });
    throw error;
  } finally {
    provider.binding.endTurn();
  }
}

/**
 * Open here only until the keeper has it, which also syncs it: a checkpoint into the job's store that is taken while it is open would ask for
 * it at its restart, by the name that it has lost since.
 */
async function write(file: string, options: Omit<SelfCheckpointOptions, 'file'>, provider: Provider): Promise<void> {
  const flags = provider.info.kind === 'userspace' ? CRX_CHKPT_SYNC : 0;
  const to = openSync(file, 'w', 0o600);
  let request: PendingCheckpoint;
  try {
    request = startCheckpoint({ ...options, target: process.pid, to, flags }, provider);
  } finally {
    closeSync(to);
  }
  await request.done;
}

function syncFile(file: string): void {
  const fd = openSync(file, 'r+');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** One checkpoint of a job at a time: the one that is being taken now has begun too early to be ours. */
async function whenNotBusy(request: () => Promise<void>, abort: AbortSignal | undefined): Promise<void> {
  for (;;) {
    try {
      return await request();
    } catch (error) {
      if (errorCode(error) !== 'EBUSY' || abort?.aborted === true) throw error;
      await delay(BUSY_MS);
    }
  }
}

async function intoStore(abort: AbortSignal | undefined, provider: Provider): Promise<'continued' | 'restarted'> {
  const { binding, info } = provider;
  if (info.kind !== 'userspace') {
    throw new UsageError(`a checkpoint into the job's store is not possible with BLCR's own libcr (${info.path})`, {
      code: 'ERR_UNSUPPORTED',
    });
  }
  if (abort?.aborted === true) throw failure('ABORT_ERR', 'was aborted', '', abort.reason);
  let handle: RequestHandle;
  try {
    handle = binding.requestStore();
  } catch (error) {
    if (errorCode(error) !== 'ENOTCONN') throw checkpointError(error, process.pid, '');
    throw failure('ERR_NO_KEEPER', "is not possible: start this program with 'blcr run', or give a file", '', error);
  }
  using interruption = new Interruption(abort, 0, () => stopWaiting(binding, handle));
  const outcome = await completeRequest(binding, handle);
  if (outcome.error === undefined) return 'continued';
  if (errorCode(outcome.error) === RESTARTED) return 'restarted';
  throw interruption.reason === undefined ? refusal(outcome) : failure('ABORT_ERR', 'was aborted', '', abort?.reason);
}

function stopWaiting(binding: NativeBinding, handle: RequestHandle): void {
  try {
    binding.cancel(handle);
  } catch {
    // the keeper has answered already or is gone: the handle completes either way
  }
}

function refusal({ error, log }: Outcome): CheckpointError {
  if (errorCode(error) === 'ENOTSUP' || errorCode(error) === 'EOPNOTSUPP') {
    return failure('ERR_NO_STORE', 'is not possible: this job has no store; give a file', log, error);
  }
  const code = WRAPPERS_ERROR.exec(log)?.[1];
  if (code === undefined) return checkpointError(error, process.pid, log);
  return failure(code, `failed: ${log.slice(code.length + 1).trim()}`, log, error);
}

function failure(code: string, words: string, log: string, cause: unknown): CheckpointError {
  const message = `checkpoint of this program's job ${words}`;
  return new CheckpointError(message, {
    code,
    target: process.pid,
    log,
    retriable: code.startsWith('ERR_STORE'),
    cause,
  });
}
