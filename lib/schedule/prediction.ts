/** Arithmetic of an eviction's deadline. Times in milliseconds of one clock, sizes in bytes. */

/** A prediction is believed once this share of the time is used up: the first bytes of an upload say little. */
const TRUSTED_SHARE = 0.25;
/** An upload must be this much too slow before it is given up, so that a short stall does not cost a checkpoint. */
const MARGIN = 1.5;

export interface UploadSoFar {
  readonly at: number;
  readonly since: number;
  readonly bytes: number;
  /** Size of the previous checkpoint; undefined = there was none, nothing can be predicted. */
  readonly expectedBytes: number | undefined;
  readonly deadline: number;
}

/** True when an upload that goes on at its rate so far clearly cannot be complete at the deadline. */
export function predictsMiss(upload: UploadSoFar): boolean {
  const { at, since, bytes, expectedBytes, deadline } = upload;
  const elapsed = at - since;
  const available = deadline - since;
  if (at >= deadline) return true;
  if (expectedBytes === undefined || expectedBytes <= bytes || elapsed < available * TRUSTED_SHARE) return false;
  if (bytes <= 0) return false;
  return elapsed * (expectedBytes / bytes) > available * MARGIN;
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
