/** Requests to libcr in TypeScript's words; the constants are in constants.ts. */
import type { LibraryInfo, NativeBinding } from '../native/binding.ts';

export interface Provider {
  readonly info: LibraryInfo;
  readonly binding: NativeBinding;
  /** Why this library was chosen, one line per candidate considered. */
  readonly reasons: readonly string[];
}

export interface CaptureOptions {
  readonly root: string;
  readonly into: string;
  readonly baseline?: string;
  readonly extra?: readonly string[];
}

export interface CheckpointOptions {
  readonly target: number;
  /** Default `tree`. */
  readonly scope?: 'process' | 'group' | 'session' | 'tree';
  /** Where the context goes: a writable descriptor of the caller (stays open), or `pipe`: the result's `context` is the read end. */
  readonly to: number | 'pipe';
  /** Sent to the target when the context is complete: number, 0 = none (default). */
  readonly signal?: number;
  readonly timeoutSeconds?: number;
  readonly flags?: number;
  readonly snapshot?: 'auto' | 'fork' | 'plain';
  /** Bytes. */
  readonly memoryBudget?: number;
  readonly capture?: CaptureOptions;
  readonly checksum?: boolean;
  /** TCP connections with a peer outside: the checkpoint fails and names one (default), or the restarted program finds them reset. */
  readonly tcp?: 'refuse' | 'close';
  /** The same for unix sockets: the restarted program finds them closed. */
  readonly unix?: 'refuse' | 'close';
  readonly abort?: AbortSignal;
}

/** All but `file` and `abort` only with a file: a job that is run with a store has its own. */
export interface SelfCheckpointOptions
  extends Partial<
    Pick<CheckpointOptions, 'timeoutSeconds' | 'snapshot' | 'memoryBudget' | 'checksum' | 'tcp' | 'unix' | 'abort'>
  > {
  /** Path of the context to be written; default: the job's store. */
  readonly file?: string;
}

/** Something that a checkpoint leaves out, told although it succeeded. */
export interface CheckpointWarning {
  /** Stable: docs/errors.md. */
  readonly code: string;
  readonly message: string;
}

export interface CheckpointResult {
  readonly snapshot: 'fork' | 'plain' | 'unknown';
  readonly processes: number;
  readonly threads: number;
  readonly stopUs: number;
  readonly captureUs: number;
  readonly totalUs: number;
  readonly pages: number;
  readonly bytes: number;
  readonly capturedFiles: number;
  readonly capturedBytes: number;
  readonly warnings: readonly CheckpointWarning[];
  readonly log: string;
}

export interface PendingCheckpoint {
  /** Read end of the context stream when `to` was `pipe`, else undefined. The caller owns it. */
  readonly context: number | undefined;
  readonly done: Promise<CheckpointResult>;
  /** Resolves when libcr has finished with the target, which may be later than `done`: BLCR cannot cancel. Never rejects. */
  readonly settled: Promise<void>;
}

export interface RestartOptions {
  /** A readable descriptor of the caller, or `pipe`: the result's `context` is the write end. */
  readonly from: number | 'pipe';
  readonly relocate?: readonly (readonly [from: string, to: string])[];
  readonly binds?: readonly (readonly [from: string, to: string])[];
  readonly files?: 'rollback' | 'keep' | 'refuse';
  readonly restorePid?: boolean;
  /** Restore process groups and sessions too, where the library does not do so anyway. BLCR by default moves the job into the caller's. */
  readonly restoreSession?: boolean;
  readonly signal?: number;
  /** Descriptors for the job's stdin, stdout, stderr; default 0, 1, 2. */
  readonly stdio?: readonly [number, number, number];
  /** Takes a checkpoint into the job's store, when a program of the job asks for one: checkpointSelf(). Without it there is no store. */
  readonly onStoreRequest?: () => Promise<unknown>;
  readonly abort?: AbortSignal;
}

export interface RestartResult {
  /** The child to wait for and to signal (the keeper). */
  readonly pid: number;
  /** The root's pid as the job itself sees it. */
  readonly jobPid: number;
  readonly processes: number;
  readonly threads: number;
  readonly totalUs: number;
  readonly bytes: number;
  readonly log: string;
  /** Resolves when the child has ended. */
  readonly exit: Promise<ExitStatus>;
}

export interface PendingRestart {
  /** Write end of the context stream when `from` was `pipe`. The caller owns it and closes it after the last byte. */
  readonly context: number | undefined;
  readonly done: Promise<RestartResult>;
}

export type ExitStatus =
  | { readonly exitCode: number; readonly signal: undefined }
  | { readonly exitCode: undefined; readonly signal: NodeJS.Signals };
