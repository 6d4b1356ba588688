/** The store's errors, each made in one place so that code, advice and retriability always agree. */
import { StoreError } from '../errors.ts';

type Cause = { readonly path?: string; readonly cause?: unknown };

function make(code: string, message: string, retriable: boolean, { path, cause }: Cause): StoreError {
  return new StoreError(message, {
    code,
    retriable,
    ...(path === undefined ? {} : { path }),
    ...(cause === undefined ? {} : { cause }),
  });
}

/** The store does not answer: ERR_STORE_UNREACHABLE, retriable. */
export function unreachable(what: string, cause: Cause = {}): StoreError {
  return make('ERR_STORE_UNREACHABLE', `${what}; check that the store is up and reachable from this node`, true, cause);
}

/** No space left: ERR_STORE_FULL, retriable because others may free some. */
export function full(what: string, cause: Cause = {}): StoreError {
  return make(
    'ERR_STORE_FULL',
    `${what}: no space left in the store; free some or keep fewer checkpoints`,
    true,
    cause,
  );
}

/** Missing rights: ERR_STORE_DENIED. */
export function denied(what: string, cause: Cause = {}): StoreError {
  const advice =
    'the store needs the rights to read, write, list, rename and delete there (Chirp: rwld; --auth picks the login)';
  return make('ERR_STORE_DENIED', `${what}: permission denied; ${advice}`, false, cause);
}

/** Content that cannot be what was written: ERR_STORE_CORRUPT. */
export function corrupt(path: string, why: string, cause?: unknown): StoreError {
  const message = `${path} is damaged: ${why}; use an older checkpoint`;
  return make('ERR_STORE_CORRUPT', message, false, { path, cause });
}

/** Content that was not sealed with this job's key, or not for this place: ERR_STORE_AUTH. */
export function unauthentic(path: string, why: string, cause?: unknown): StoreError {
  const message = `${path} cannot be trusted: ${why}; check the key, or that nobody replaced the store's content`;
  return make('ERR_STORE_AUTH', message, false, { path, cause });
}

/** A newer incarnation holds the job: ERR_STORE_FENCED. */
export function fenced(jobId: string, path: string, cause?: unknown): StoreError {
  const message = `job ${JSON.stringify(jobId)} was claimed by a newer incarnation or removed; this one must stop`;
  return make('ERR_STORE_FENCED', message, false, { path, cause });
}

/** ERR_STORE_NOT_FOUND. */
export function notFound(what: string, cause: Cause = {}): StoreError {
  return make('ERR_STORE_NOT_FOUND', `${what} does not exist in the store`, false, cause);
}

/** ERR_STORE_EXISTS: a directory cannot be replaced by a rename. */
export function occupied(what: string, cause: Cause = {}): StoreError {
  return make('ERR_STORE_EXISTS', `${what} exists already`, false, cause);
}

/** ERR_STORE_URL: the address of the store is not understood. */
export function badUrl(url: string, why: string): StoreError {
  const message = `store ${JSON.stringify(url)}: ${why}; write file:///directory or chirp://host:port/path`;
  return make('ERR_STORE_URL', message, false, {});
}

/** ERR_STORE_ARGUMENT: a caller's value is outside its range. */
export function badArgument(why: string): StoreError {
  return make('ERR_STORE_ARGUMENT', why, false, {});
}

/** ERR_STORE_VERSION: written by a newer release. */
export function newerVersion(path: string, version: number): StoreError {
  const message = `${path} has format version ${version}, which this release cannot read; use the release that wrote it or a newer one`;
  return make('ERR_STORE_VERSION', message, false, { path });
}

/** ERR_STORE_CONTEXT: the stream to be stored is not a complete context. */
export function badContext(why: string, cause?: unknown): StoreError {
  return make('ERR_STORE_CONTEXT', `the context stream is not usable: ${why}`, false, { cause });
}

/** ERR_STORE_FILE: a file to be stored or laid out is not usable. */
export function badFile(path: string, why: string, cause?: unknown): StoreError {
  return make('ERR_STORE_FILE', `${path}: ${why}`, false, { path, cause });
}

/** ERR_STORE_IO: any other failure of the storage. */
export function failed(what: string, cause: Cause = {}): StoreError {
  return make('ERR_STORE_IO', what, false, cause);
}

/** ERR_STORE_CLOSED: used after close. */
export function closed(what: string): StoreError {
  return make('ERR_STORE_CLOSED', `${what} has been closed`, false, {});
}

/** True for a StoreError with one of these codes (`NOT_FOUND` for ERR_STORE_NOT_FOUND). */
export function isStoreError(error: unknown, ...codes: readonly string[]): error is StoreError {
  return error instanceof StoreError && codes.some((code) => error.code === `ERR_STORE_${code}`);
}
