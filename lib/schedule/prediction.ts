/** Arithmetic of an eviction's deadline. Times in milliseconds of one clock, sizes in bytes. */

/** A prediction is believed once this share of the time is used up: the first bytes of an upload say little. */
const TRUSTED_SHARE = 0.25;
/** An upload must be this much too slow before it is given up, so that a short stall does not cost a checkpoint. */
const MARGIN = 1.5;

/** An eviction in which nothing gets through for this share of its time, and no less than so long, is over: a store that syncs its disk is silent, too. */
const SILENT_SHARE = 0.5;
const SILENT_MS = 15_000;

/** Milliseconds without any progress after which an eviction that takes `availableMs` gives up. */
export const patienceMs = (availableMs: number): number => Math.max(SILENT_MS, availableMs * SILENT_SHARE);

export interface UploadProgress {
  /** Of the checkpoint: read so far. */
  readonly bytes: number;
  /** Of what was read: waiting to be sent, or sent. What the store has already is not. */
  readonly queued: number;
  readonly shipped: number;
}

export interface UploadSoFar extends UploadProgress {
  readonly at: number;
  readonly since: number;
  /** Size of the previous checkpoint; undefined = there was none. */
  readonly expectedBytes: number | undefined;
  readonly deadline: number;
}

/** True when an upload that goes on at its rate so far clearly cannot be complete at the deadline. */
export function predictsMiss(upload: UploadSoFar): boolean {
  const { at, since, deadline } = upload;
  const elapsed = at - since;
  const available = deadline - since;
  if (at >= deadline) return true;
  const share = doneShare(upload);
  if (share <= 0 || share >= 1 || elapsed < available * TRUSTED_SHARE) return false;
  return elapsed / share > available * MARGIN;
}

/** An upper bound where the size is not known: nothing more may come than what has been read. */
function doneShare({ bytes, queued, shipped, expectedBytes }: UploadSoFar): number {
  const read = expectedBytes === undefined ? 1 : Math.min(1, bytes / expectedBytes);
  const sent = queued <= 0 ? 1 : Math.min(1, shipped / queued);
  return read * sent;
}

export interface RunningUpload {
  readonly at: number;
  readonly since: number;
  /** How long the last stored checkpoint took; undefined = unknown. */
  readonly lastMs: number | undefined;
  readonly deadline: number;
}

/**
 * An eviction meets a checkpoint that is being taken: give it up for a newer one (true), or let it finish, because only that fits (false)?
 * Without experience the newer one is tried: the older checkpoint in the store stays what it is.
 */
export function shouldReplace(running: RunningUpload): boolean {
  const { at, since, lastMs, deadline } = running;
  if (lastMs === undefined || at + lastMs <= deadline) return true;
  return since + lastMs > deadline;
}
