/** Restart requests. */
import { RestartError, UsageError } from '../errors.ts';
import type { NativeBinding, NativeRestartArgs, RequestHandle } from '../native/binding.ts';
import { createDeferred } from '../util/deferred.ts';
import {
  CR_RSTRT_ASYNC_ERR,
  CR_RSTRT_RESTORE_PGID,
  CR_RSTRT_RESTORE_PID,
  CR_RSTRT_RESTORE_SID,
  FILES,
  MAX_RELOCATIONS,
  NO_DESCRIPTOR,
} from './constants.ts';
import { restartError } from './errors.ts';
import { decodeWaitStatus } from './exit-status.ts';
import { Lifeline } from './lifeline.ts';
import { completeRequest, Interruption, type Outcome } from './pending.ts';
import { openProvider } from './provider.ts';
import { type ContextStream, openStream } from './stream.ts';
import type { ExitStatus, PendingRestart, Provider, RestartOptions, RestartResult } from './types.ts';

/** How long an abort waits for the keeper's end. A keeper that waits for the rest of a context ends only when the caller closes that stream. */
const ABORT_GRACE_MS = 1000;

/**
 * Starts to bring a job back. Its keeper becomes a child of this process; the job ends when this process does.
 *
 * With `from: 'pipe'` write the context into `context` while the request runs and close it after the last byte; a failed restart makes the
 * write fail with EPIPE, and `done` says why. To give up, abort and close it.
 *
 * @returns `done` rejects as requestRestart does. It may be left unobserved until the context has been written.
 * @throws {RestartError} when libcr refuses at once
 * @throws {UsageError} bad arguments, or an option that the library in use does not know
 * @throws {NativeLoadError} when no libcr can be loaded
 */
export function startRestart(options: RestartOptions, provider: Provider = openProvider()): PendingRestart {
  check(options, provider);
  if (options.abort?.aborted === true) throw aborted(options, '');
  const stream = options.from === 'pipe' ? openStream(provider, 'in') : undefined;
  const lifeline =
    provider.info.kind === 'userspace' ? new Lifeline(provider.binding, options.onStoreRequest) : undefined;
  const fd = stream === undefined ? Number(options.from) : stream.forLibrary;
  let handle: RequestHandle;
  try {
    handle = provider.binding.requestRestart(nativeArguments(options, fd, lifeline));
  } catch (error) {
    stream?.discard();
    lifeline?.discard();
    throw restartError(error, '');
  }
  stream?.handOver();
  lifeline?.handOver();
  const done = finish(options, provider.binding, handle, stream, lifeline);
  done.catch(() => undefined); // the caller writes the context first and learns of a failure from its own await
  return { context: stream?.forCaller, done };
}

/**
 * Restarts a job from a descriptor. cr_request_restart, the wait, cr_log_restart and cr_reap_restart in one.
 *
 * @param options `from`: readable descriptor, stays open. `abort`: nothing of the job is left running; without effect once `done` has resolved.
 * @returns resolves when the job runs; `exit` resolves when it has ended
 * @throws {RestartError} nothing of the job has run; `blame` tells whether to try an older context or another node. Code `ABORT_ERR` after an
 *   abort, else errno's name or `CR_E*`
 * @throws {UsageError} {NativeLoadError} as startRestart
 * @see cr_request_restart in libcr.h
 * @example
 *   const { pid, exit } = await requestRestart({ from: openSync('program.ckpt', 'r') });
 *   const { exitCode, signal } = await exit;
 */
export async function requestRestart(
  options: RestartOptions & { readonly from: number },
  provider?: Provider,
): Promise<RestartResult> {
  return await startRestart(options, provider).done;
}

async function finish(
  options: RestartOptions,
  binding: NativeBinding,
  handle: RequestHandle,
  stream: ContextStream | undefined,
  lifeline: Lifeline | undefined,
): Promise<RestartResult> {
  const startedMs = performance.now();
  const abandoned = createDeferred<undefined>();
  const giveUp = (): void => {
    lifeline?.cut(); // the keeper kills what it has restored; the request then completes
    const graceMs = lifeline === undefined ? 0 : ABORT_GRACE_MS;
    setTimeout(() => abandoned.resolve(undefined), graceMs).unref();
  };
  using interruption = new Interruption(options.abort, 0, giveUp);
  const completion = completeRequest(binding, handle).finally(() => stream?.finish());
  const outcome = await Promise.race([completion, abandoned.promise]);
  if (interruption.reason !== undefined) {
    void completion.then((late) => endUnwanted(binding, late.value));
    throw aborted(options, outcome?.log ?? '');
  }
  if (outcome === undefined || outcome.error !== undefined) {
    lifeline?.cut();
    throw restartError(outcome?.error, outcome?.log ?? '');
  }
  return resultOf(outcome, performance.now() - startedMs, watchChild(binding, outcome.value, lifeline));
}

function watchChild(binding: NativeBinding, pid: number, lifeline: Lifeline | undefined): Promise<ExitStatus> {
  const exit = binding
    .waitChild(pid)
    .then(decodeWaitStatus)
    .finally(() => lifeline?.cut());
  exit.catch(() => undefined); // fails only when somebody else has waited for this child; whoever asks is told
  return exit;
}

/** A restart that succeeded after it had been given up. */
async function endUnwanted(binding: NativeBinding, pid: number): Promise<void> {
  if (pid <= 0) return;
  try {
    process.kill(pid, 'SIGKILL');
    await binding.waitChild(pid);
  } catch {
    // it has ended by itself: that is what is wanted
  }
}

function resultOf({ value, result, log }: Outcome, elapsedMs: number, exit: Promise<ExitStatus>): RestartResult {
  return {
    pid: value,
    jobPid: result?.restartedPid ?? value,
    processes: result?.processes ?? 0,
    threads: result?.threads ?? 0,
    totalUs: result?.totalUs ?? Math.round(elapsedMs * 1000),
    bytes: result?.bytes ?? 0,
    log,
    exit,
  };
}

function aborted(options: RestartOptions, log: string): RestartError {
  return new RestartError('the restart was aborted; nothing of the job is left running', {
    code: 'ABORT_ERR',
    log,
    blame: 'unknown',
    cause: options.abort?.reason,
  });
}

function check(options: RestartOptions, { info }: Provider): void {
  if (options.from !== 'pipe' && (!Number.isInteger(options.from) || options.from < 0)) {
    throw new UsageError(`from must be a descriptor or 'pipe', not ${options.from}`);
  }
  for (const name of ['relocate', 'binds'] as const) {
    const count = options[name]?.length ?? 0;
    if (count > MAX_RELOCATIONS) throw new UsageError(`${name}: at most ${MAX_RELOCATIONS} pairs, not ${count}`);
  }
  if (info.kind === 'userspace') return;
  for (const [name, isAsked] of [
    ['binds', (options.binds ?? []).length > 0],
    ['onStoreRequest', options.onStoreRequest !== undefined],
    ['stdio', options.stdio?.some((fd, index) => fd !== index) === true],
    ['files other than "rollback"', (options.files ?? 'rollback') !== 'rollback'],
  ] as const) {
    if (isAsked)
      throw new UsageError(`${name}: not possible with BLCR's own libcr (${info.path})`, { code: 'ERR_UNSUPPORTED' });
  }
}

function flagsOf({ restorePid = true, restoreSession = false }: RestartOptions): number {
  const ids = restorePid ? CR_RSTRT_RESTORE_PID : 0;
  return CR_RSTRT_ASYNC_ERR | ids | (restoreSession ? CR_RSTRT_RESTORE_PGID | CR_RSTRT_RESTORE_SID : 0);
}

function nativeArguments(options: RestartOptions, fd: number, lifeline: Lifeline | undefined): NativeRestartArgs {
  const args: NativeRestartArgs = {
    fd,
    signal: options.signal ?? 0,
    flags: flagsOf(options),
    relocate: options.relocate ?? [],
  };
  if (lifeline === undefined) return args;
  return {
    ...args,
    extension: {
      files: FILES[options.files ?? 'rollback'],
      binds: options.binds ?? [],
      lifelineFd: lifeline.forKeeper,
      answers: lifeline.answers ? 1 : 0,
      stdioFds: options.stdio ?? [NO_DESCRIPTOR, NO_DESCRIPTOR, NO_DESCRIPTOR],
    },
  };
}
