/**
 * Every error a user can meet. Users match `code`; messages may change.
 * Codes: errno names as they are (`ESRCH`), BLCR's own (`CR_EPTRACED`), Chirp's (`CHIRP_NOT_AUTHORIZED`), ours `ERR_<AREA>_<WHAT>`.
 * `retriable` is set where the error is made; retriers only read it.
 */

const BRAND = Symbol.for('node-blcr.error');

export interface ErrorDetails {
  readonly code: string;
  readonly retriable?: boolean;
  readonly cause?: unknown;
}

export class BlcrError extends Error {
  readonly code: string;
  readonly retriable: boolean;

  constructor(message: string, details: ErrorDetails) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = details.code;
    this.retriable = details.retriable ?? false;
    Object.defineProperty(this, BRAND, { value: true });
  }
}
Object.defineProperty(BlcrError.prototype, 'name', { value: 'BlcrError', configurable: true, writable: true });

/** True for errors of this package, also across copies of it and realms. */
export function isBlcrError(value: unknown): value is BlcrError {
  return typeof value === 'object' && value !== null && BRAND in value;
}

/** The addon or a libcr could not be loaded. `tried` lists each path with the reason. Code `ERR_NATIVE_LOAD` or `ERR_LIBCR_NOT_FOUND`. */
export class NativeLoadError extends BlcrError {
  readonly tried: readonly { readonly path: string; readonly reason: string }[];
  constructor(
    message: string,
    details: ErrorDetails & { readonly tried: readonly { readonly path: string; readonly reason: string }[] },
  ) {
    super(message, details);
    this.tried = details.tried;
  }
}

/** A system call failed; `errno` is negative as in Node. */
export class SystemCallError extends BlcrError {
  readonly errno: number;
  readonly syscall: string;
  readonly path: string | undefined;
  constructor(
    message: string,
    details: ErrorDetails & { readonly errno: number; readonly syscall: string; readonly path?: string },
  ) {
    super(message, details);
    this.errno = details.errno;
    this.syscall = details.syscall;
    this.path = details.path;
  }
}

/** A checkpoint request failed; the target runs on. `log` is libcr's own explanation, naming process, descriptor or path. */
export class CheckpointError extends BlcrError {
  readonly target: number;
  readonly log: string;
  constructor(message: string, details: ErrorDetails & { readonly target: number; readonly log: string }) {
    super(message, details);
    this.target = details.target;
    this.log = details.log;
  }
}

/**
 * A restart failed and nothing of the restored job has run. `blame` says what is at fault: the `context` (try an older one), the `node`
 * (try another machine), or `unknown`.
 */
export class RestartError extends BlcrError {
  readonly log: string;
  readonly blame: 'context' | 'node' | 'unknown';
  constructor(
    message: string,
    details: ErrorDetails & { readonly log: string; readonly blame: 'context' | 'node' | 'unknown' },
  ) {
    super(message, details);
    this.log = details.log;
    this.blame = details.blame;
  }
}

/** The Chirp server answered with an error. `result` is the wire number. */
export class ChirpError extends BlcrError {
  readonly command: string;
  readonly result: number;
  readonly path: string | undefined;
  constructor(
    message: string,
    details: ErrorDetails & { readonly command: string; readonly result: number; readonly path?: string },
  ) {
    super(message, details);
    this.command = details.command;
    this.result = details.result;
    this.path = details.path;
  }
}

/** The connection to a Chirp server could not be made or broke. */
export class ChirpConnectionError extends BlcrError {
  readonly host: string;
  readonly port: number;
  constructor(message: string, details: ErrorDetails & { readonly host: string; readonly port: number }) {
    super(message, details);
    this.host = details.host;
    this.port = details.port;
  }
}

/** No configured authentication method was accepted. */
export class ChirpAuthError extends BlcrError {
  readonly tried: readonly { readonly method: string; readonly reason: string }[];
  constructor(
    message: string,
    details: ErrorDetails & { readonly tried: readonly { readonly method: string; readonly reason: string }[] },
  ) {
    super(message, details);
    this.tried = details.tried;
  }
}

/** The peer broke the Chirp protocol; the connection has been dropped. Never retriable. */
export class ChirpProtocolError extends BlcrError {}

/** A store refused, lost or returned bad data. `ERR_STORE_*`. */
export class StoreError extends BlcrError {
  readonly path: string | undefined;
  constructor(message: string, details: ErrorDetails & { readonly path?: string }) {
    super(message, details);
    this.path = details.path;
  }
}

/** The life of a job went wrong. `ERR_JOB_*`. */
export class JobError extends BlcrError {
  readonly exitCode: number | undefined;
  constructor(message: string, details: ErrorDetails & { readonly exitCode?: number }) {
    super(message, details);
    this.exitCode = details.exitCode;
  }
}

/** Bad arguments; nothing was started. The command line exits 64. */
export class UsageError extends BlcrError {
  constructor(message: string, details: Omit<ErrorDetails, 'code'> & { readonly code?: string } = {}) {
    super(message, { ...details, code: details.code ?? 'ERR_USAGE' });
  }
}

for (const type of [
  NativeLoadError,
  SystemCallError,
  CheckpointError,
  RestartError,
  ChirpError,
  ChirpConnectionError,
  ChirpAuthError,
  ChirpProtocolError,
  StoreError,
  JobError,
  UsageError,
]) {
  Object.defineProperty(type.prototype, 'name', { value: type.name, configurable: true, writable: true });
}
