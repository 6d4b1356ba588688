/** Checkpoint requests. */
import { CheckpointError, UsageError } from '../errors.ts';
import type { NativeCheckpointArgs, RequestHandle } from '../native/binding.ts';
import { createDeferred } from '../util/deferred.ts';
import { CONNECTIONS, CR_CHKPT_ASYNC_ERR, SCOPE, SNAPSHOT } from './constants.ts';
import { checkpointError } from './errors.ts';
import { completeRequest, Interruption, type InterruptionReason, type Outcome } from './pending.ts';
import { openProvider } from './provider.ts';
import { type ContextStream, openStream } from './stream.ts';
import type { CheckpointOptions, CheckpointResult, PendingCheckpoint, Provider } from './types.ts';
import { warningsIn } from './warnings.ts';

/**
 * Starts a checkpoint of a process and, by default, of all its descendants. They run on afterwards (unless `signal` ends them), whatever
 * happens to the checkpoint.
 *
 * With `to: 'pipe'` the context is read from `context` while the request runs; read to end-of-file, close it, and trust the bytes only when
 * `done` has resolved. To give up, abort first and close then.
 *
 * @returns `done` rejects as requestCheckpoint does. It may be left unobserved until the context has been read.
 * @throws {CheckpointError} when libcr refuses at once
 * @throws {UsageError} bad arguments, or an option that the library in use does not know
 * @throws {NativeLoadError} when no libcr can be loaded
 */
export function startCheckpoint(options: CheckpointOptions, provider: Provider = openProvider()): PendingCheckpoint {
  check(options, provider);
  if (options.abort?.aborted === true) throw interrupted('abort', options, '');
  const stream = options.to === 'pipe' ? openStream(provider, 'out') : undefined;
  const fd = stream === undefined ? Number(options.to) : stream.forLibrary;
  let handle: RequestHandle;
  try {
    handle = provider.binding.requestCheckpoint(nativeArguments(options, provider, fd));
  } catch (error) {
    stream?.discard();
    throw checkpointError(error, options.target, '');
  }
  stream?.handOver();
  // Reaped in any case, also when nobody waits for it any more.
  const completion = completeRequest(provider.binding, handle).finally(() => stream?.finish());
  const done = finish(options, provider, handle, completion, stream);
  done.catch(() => undefined); // the caller reads the context first and learns of a failure from its own await
  return { context: stream?.forCaller, done, settled: completion.then(() => undefined) };
}

/**
 * Takes a checkpoint into a descriptor and waits for it. cr_request_checkpoint, the wait, cr_log_checkpoint and cr_reap_checkpoint in one.
 * Several may be pending at once for different targets.
 *
 * @param options `to`: writable descriptor, stays open. `abort`, `timeoutSeconds` (0 = no limit, the default): the request is cancelled, the
 *   target runs on, what was written is incomplete.
 * @throws {CheckpointError} code `ABORT_ERR` or `ETIMEDOUT` for these two, else errno's name or `CR_E*`; `log` names what was in the way
 * @throws {UsageError} {NativeLoadError} as startCheckpoint
 * @see cr_request_checkpoint in libcr.h
 * @example
 *   const file = openSync('program.ckpt', 'wx', 0o600);
 *   const { bytes, stopUs } = await requestCheckpoint({ target: child.pid, to: file });
 */
export async function requestCheckpoint(
  options: CheckpointOptions & { readonly to: number },
  provider?: Provider,
): Promise<CheckpointResult> {
  return await startCheckpoint(options, provider).done;
}

async function finish(
  options: CheckpointOptions,
  { binding }: Provider,
  handle: RequestHandle,
  completion: Promise<Outcome>,
  stream: ContextStream | undefined,
): Promise<CheckpointResult> {
  const startedMs = performance.now();
  const abandoned = createDeferred<undefined>();
  const giveUp = (): void => {
    if (cancel(() => binding.cancel(handle))) return; // it completes at once and is reaped below
    stream?.drain();
    abandoned.resolve(undefined);
  };
  using interruption = new Interruption(options.abort, (options.timeoutSeconds ?? 0) * 1000, giveUp);
  const outcome = await Promise.race([completion, abandoned.promise]);
  if (interruption.reason !== undefined) throw interrupted(interruption.reason, options, outcome?.log ?? '');
  if (outcome === undefined || outcome.error !== undefined) {
    throw checkpointError(outcome?.error, options.target, outcome?.log ?? '');
  }
  return resultOf(outcome, performance.now() - startedMs);
}

/** False when the library cannot cancel. */
function cancel(call: () => boolean): boolean {
  try {
    return call();
  } catch {
    return true; // the keeper has answered already or is gone: the handle completes either way
  }
}

function interrupted(reason: InterruptionReason, options: CheckpointOptions, log: string): CheckpointError {
  const isTimeout = reason === 'timeout';
  const why = isTimeout ? `was given up after ${options.timeoutSeconds} s` : 'was aborted';
  return new CheckpointError(`checkpoint of process ${options.target} ${why}; it runs on`, {
    code: isTimeout ? 'ETIMEDOUT' : 'ABORT_ERR',
    target: options.target,
    log,
    retriable: isTimeout,
    cause: isTimeout ? undefined : options.abort?.reason,
  });
}

/** Genuine BLCR reports nothing but success: counts are 0 then and the time is our own. */
function resultOf({ result, log }: Outcome, elapsedMs: number): CheckpointResult {
  const names = { [SNAPSHOT.fork]: 'fork', [SNAPSHOT.plain]: 'plain' } as const;
  return {
    snapshot: names[(result?.snapshot ?? SNAPSHOT.auto) as 1 | 2] ?? 'unknown',
    processes: result?.processes ?? 0,
    threads: result?.threads ?? 0,
    stopUs: result?.stopUs ?? 0,
    captureUs: result?.captureUs ?? 0,
    totalUs: result?.totalUs ?? Math.round(elapsedMs * 1000),
    pages: result?.pages ?? 0,
    bytes: result?.bytes ?? 0,
    capturedFiles: result?.capturedFiles ?? 0,
    capturedBytes: result?.capturedBytes ?? 0,
    warnings: warningsIn(log),
    log,
  };
}

function check(options: CheckpointOptions, { info }: Provider): void {
  if (!Number.isInteger(options.target) || options.target <= 0) {
    throw new UsageError(`target must be the id of a process, not ${options.target}`);
  }
  if (options.to !== 'pipe' && (!Number.isInteger(options.to) || options.to < 0)) {
    throw new UsageError(`to must be a descriptor or 'pipe', not ${options.to}`);
  }
  if (options.signal !== undefined && !Number.isInteger(options.signal)) {
    throw new UsageError('signal is the number of a signal for the process; an AbortSignal is given as abort');
  }
  if (!((options.timeoutSeconds ?? 0) >= 0)) throw new UsageError('timeoutSeconds must not be negative');
  if (info.kind === 'userspace') return;
  for (const [name, isAsked] of [
    ['capture', options.capture !== undefined],
    ['snapshot "fork"', options.snapshot === 'fork'],
    ['tcp "close"', options.tcp === 'close'],
    ['unix "close"', options.unix === 'close'],
  ] as const) {
    if (isAsked)
      throw new UsageError(`${name} is not possible with BLCR's own libcr (${info.path})`, { code: 'ERR_UNSUPPORTED' });
  }
}

function nativeArguments(options: CheckpointOptions, { info }: Provider, fd: number): NativeCheckpointArgs {
  const args: NativeCheckpointArgs = {
    scope: SCOPE[options.scope ?? 'tree'],
    target: options.target,
    fd,
    signal: options.signal ?? 0,
    timeoutSeconds: Math.ceil(options.timeoutSeconds ?? 0),
    // Errors that come with the reap come with a log.
    flags: (options.flags ?? 0) | CR_CHKPT_ASYNC_ERR,
  };
  if (info.kind !== 'userspace') return args;
  const { capture } = options;
  return {
    ...args,
    extension: {
      snapshot: SNAPSHOT[options.snapshot ?? 'auto'],
      memoryBudget: options.memoryBudget ?? 0,
      captureRoot: capture?.root,
      captureInto: capture?.into,
      captureBaseline: capture?.baseline,
      captureExtra: capture?.extra ?? [],
      checksum: options.checksum === false ? 0 : 1,
      tcp: CONNECTIONS[options.tcp ?? 'refuse'],
      unixSockets: CONNECTIONS[options.unix ?? 'refuse'],
    },
  };
}
