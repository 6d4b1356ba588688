/** From libcr's errno to the error a user can act on. */
import { CheckpointError, RestartError } from '../errors.ts';
import { errorMessage } from '../util/error-facts.ts';

/** What the addon throws: see NativeBinding. */
export interface NativeError extends Error {
  readonly code: string;
  readonly errno: number;
  readonly syscall: string;
}

export function isNativeError(error: unknown): error is NativeError {
  return error instanceof Error && 'code' in error && 'errno' in error && 'syscall' in error;
}

/** What to do about a failed checkpoint, by code. Meanings that the engine itself gives are in its log, which the message carries too. */
const CHECKPOINT_ADVICE: Readonly<Record<string, string>> = {
  ESRCH: 'the target does not exist (any more)',
  EPERM:
    "this user may not checkpoint the target: it belongs to somebody else, or ptrace is restricted on this node ('blcr doctor' tells)",
  EACCES: 'this user may not read something the target has open',
  EBUSY: 'another checkpoint of this target is under way: wait for it',
  EBADF: 'the target has a descriptor that cannot be saved, or the destination is not open for writing',
  EINVAL: 'the destination cannot take a context (BLCR refuses anonymous pipes and sockets), or an argument is wrong',
  EPIPE: 'whoever read the context has gone',
  ENOSPC: 'the destination is full',
  EDQUOT: 'the quota of the destination is used up',
  EFBIG: 'the destination allows no file of that size',
  ENOMEM: 'memory does not allow a snapshot: retry with snapshot "plain"',
  ENOSYS: "support is missing from this kernel ('blcr doctor' tells)",
  EIO: 'the keeper of the target died, or the context could not be written',
  ECANCELED: 'the checkpoint was cancelled',
  ETIMEDOUT: 'the checkpoint took longer than allowed and was given up',
  ETIME: 'the checkpoint took longer than allowed and was given up',
  CR_ETEMPFAIL: 'a temporary failure: try again',
  CR_EPERMFAIL: 'a callback of the target refuses checkpoints',
  CR_ENOSUPPORT: 'the target cannot be checkpointed by this library (with BLCR: start it with cr_run)',
  CR_EOMITTED: 'the target asked to be left out of checkpoints',
  CR_EPTRACED: 'the target is being traced: detach the debugger or strace',
  CR_EPTRACER: 'the target traces another process',
};

/** Worth trying again without changing anything. */
const RETRIABLE: ReadonlySet<string> = new Set([
  'EBUSY',
  'EAGAIN',
  'EINTR',
  'ENOMEM',
  'ENOSPC',
  'EDQUOT',
  'EPIPE',
  'ETIMEDOUT',
  'ETIME',
  'CR_ETEMPFAIL',
  'CR_EPTRACED',
]);

/** Who is at fault when a restart fails. What is not listed is unknown. */
const BLAME: Readonly<Record<string, 'context' | 'node'>> = {
  EBADMSG: 'context',
  EILSEQ: 'context',
  EIO: 'context',
  EINVAL: 'context',
  ENOBUFS: 'node',
  ENODATA: 'context',
  EOVERFLOW: 'context',
  CR_EVERSION: 'context',
  CR_EBADARCH: 'node',
  EPERM: 'node',
  EACCES: 'node',
  EBUSY: 'node',
  ESTALE: 'node', // its libraries or the job's files differ here; an older context would meet the same
  EEXIST: 'node',
  EAGAIN: 'node',
  ENOMEM: 'node',
  ENOSPC: 'node',
  EMFILE: 'node',
  ENFILE: 'node',
  ENOSYS: 'node',
  EOPNOTSUPP: 'node',
  ENOTSUP: 'node',
  ENOENT: 'node',
  ENODEV: 'node',
  ENXIO: 'node',
  EROFS: 'node',
  CR_ENOSUPPORT: 'node',
};

const RESTART_ADVICE: Readonly<Record<string, string>> = {
  EIO: 'the context is truncated or unreadable',
  EINVAL: 'this is no context, or a damaged one',
  EBADMSG: 'the context is damaged: its checksums do not match',
  CR_EVERSION: 'the context was written by an incompatible version',
  CR_EBADARCH:
    'the context was written on another architecture, or on a CPU with features that this one lacks: use a node like the first',
  EBUSY:
    'the job still runs here, or a process id of it cannot be had: end it, use another node, or restart without restoring ids',
  ENOENT: 'a file that the job had open, its program or its directory is missing here: provide or relocate it',
  ETXTBSY: 'a file that the job writes is a running program here',
  ESTALE: 'a file or library differs here from what it was at the checkpoint',
  EPERM: 'this node does not let this user create the namespaces or restore the ids that the job needs',
  EACCES: 'this user may not open a file that the job had open',
  ENOSYS: "support is missing from this kernel ('blcr doctor' tells)",
  ENOMEM: 'this node has not enough memory for the job',
  CR_ENOSUPPORT: 'the context needs something that cannot be restored here',
  CR_ERSTRTABRT: 'the restart was aborted by the program or a hook',
};

/** @param log libcr's own words, may be empty */
export function checkpointError(error: unknown, target: number, log: string): CheckpointError {
  if (error instanceof CheckpointError) return error;
  const code = isNativeError(error) ? error.code : 'ERR_CHECKPOINT_FAILED';
  const message = compose(
    `checkpoint of process ${target} failed`,
    code,
    CHECKPOINT_ADVICE[code] ?? errorMessage(error),
    log,
  );
  return new CheckpointError(message, { code, target, log, retriable: RETRIABLE.has(code), cause: error });
}

export function restartError(error: unknown, log: string): RestartError {
  if (error instanceof RestartError) return error;
  const code = isNativeError(error) ? error.code : 'ERR_RESTART_FAILED';
  // Without a word of explanation EIO is the end of the keeper, and that may be anybody's doing.
  const blame = code === 'EIO' && log.trim() === '' ? 'unknown' : (BLAME[code] ?? 'unknown');
  const message = compose('restart failed', code, RESTART_ADVICE[code] ?? errorMessage(error), log);
  return new RestartError(message, { code, log, blame, retriable: blame === 'node', cause: error });
}

function compose(what: string, code: string, advice: string, log: string): string {
  const detail = log.trim();
  return `${what} (${code}): ${advice}${detail === '' ? '' : `\n${detail}`}`;
}
