/** What a store holds and what the job layer asks of it. Two drivers implement the storage; everything above them is shared. */
import type { StoreError } from '../errors.ts';

/** Raised by every operation of an incarnation that a newer one has replaced: code `ERR_STORE_FENCED`. */
export interface StoreOptions {
  /** 32 bytes: seal everything with AES-256-GCM. Without it content is only hashed. */
  readonly key?: Uint8Array;
  /** Compression of pack units, default `none` on a loopback or directory store, else `brotli`. */
  readonly codec?: 'none' | 'deflate-raw' | 'brotli' | 'zstd';
  /**
   * Chirp authentication methods in order: the first that the server accepts counts. Default ['hostname', 'unix', 'address'] (ticket first when a ticket is
   * given); on a server of this machine the first of them that has rights in the store.
   */
  readonly auth?: readonly string[];
  readonly ticket?: string;
  /** Milliseconds one driver operation may stall, default 30000. */
  readonly stallTimeoutMs?: number;
}

export interface OperationOptions {
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: Progress) => void;
  /** Bytes per second that an upload may send at most; undefined = no limit. */
  readonly maxRate?: number | undefined;
  /** Memory that an upload may use for what waits to be sent, at least 4 MiB, default 128 MiB. */
  readonly bufferBytes?: number | undefined;
  /** Called before a part of an upload that failed is sent again. */
  readonly onRetry?: (error: unknown, delayMs: number) => void;
}

export interface Progress {
  /** Bytes of context and files seen so far. */
  readonly bytes: number;
  /** Bytes really sent or fetched so far (after deduplication and compression). */
  readonly shipped: number;
  /** Of an upload: bytes that are to be sent, as far as is known yet, those sent included. */
  readonly queued?: number;
}

/** Who may resume: compared before a restart; a mismatch is refused with `ERR_JOB_CHANGED` unless accepted. */
export interface JobIdentity {
  readonly argv: readonly string[];
  /** SHA-256 (hex) of the executable's content. */
  readonly executable: string;
  /** SHA-256 by path of the input files known at the first start. */
  readonly inputs: Readonly<Record<string, string>>;
}

/** One entry below the scratch directory, or one of the job's own output files. */
export interface FileEntry {
  /** Relative path; for `stdout` and `stderr` the name of the role. */
  readonly path: string;
  readonly role: 'scratch' | 'stdout' | 'stderr';
  readonly kind: 'file' | 'directory' | 'symlink';
  readonly mode: number;
  readonly size: number;
  /** Nanoseconds as a decimal string. */
  readonly mtimeNs: string;
  readonly inode: number;
  readonly linkTarget?: string;
  /** Where the content is read now. Absent for a file: unchanged since this job's previous checkpoint, whose content is referenced. */
  readonly source?: string;
}

/** Free-form facts kept with a checkpoint; JSON. */
export interface CheckpointRecord {
  readonly identity: JobIdentity;
  readonly provider: 'userspace' | 'blcr';
  readonly host: string;
  /** Scratch directory at the time of the checkpoint: relocated and bound at restart. */
  readonly scratch: string;
  /** Those of earlier incarnations, oldest first: the program may still know its files by them. Default none. */
  readonly earlierScratch?: readonly string[];
  readonly cwd: string;
  readonly reason: 'first' | 'periodic' | 'request' | 'vacate';
  /** Milliseconds of run time the job had accumulated over all incarnations. */
  readonly runtimeMs: number;
  readonly engine?: Readonly<Record<string, number | string>>;
}

export interface CheckpointSummary {
  /** Ascending over the life of the job, also across incarnations. */
  readonly sequence: number;
  readonly epoch: number;
  /** Milliseconds since the epoch. */
  readonly created: number;
  readonly contextBytes: number;
  readonly fileBytes: number;
  /** Bytes this checkpoint added to the store. */
  readonly storedBytes: number;
  readonly record: CheckpointRecord;
}

/** How the program ended while its incarnation was being evicted; the next incarnation lays this out and exits with it. */
export interface FinishedRecord {
  readonly exitCode: number | undefined;
  readonly signal: string | undefined;
  readonly finished: number;
  readonly scratch: string;
}

export interface JobSummary {
  readonly id: string;
  readonly epoch: number;
  readonly checkpoints: number;
  readonly newest: number | undefined;
  readonly bytes: number;
  readonly finished: boolean;
}

export interface WriteRequest {
  /** Read end of the context stream; consumed to its end and closed. */
  readonly contextFd: number;
  /** Resolves once the engine says the context is complete, rejects when it is not: nothing is published before. Files are read after it. */
  readonly complete: Promise<unknown>;
  readonly files: () => Promise<readonly FileEntry[]>;
  readonly record: () => CheckpointRecord;
}

export interface StoredCheckpoint {
  readonly summary: CheckpointSummary;
  readonly files: readonly FileEntry[];
  /** Writes the verified context stream into `fd` (a pipe) and closes it. EPIPE resolves quietly (the reader has given up and says why itself). */
  writeContext(fd: number, options?: OperationOptions): Promise<void>;
  /** Lays the scratch files below `directory` (created entries replace what is there, nothing else is touched), and writes stdout/stderr content to the given descriptors' files. */
  extractFiles(directory: string, options?: OperationOptions): Promise<void>;
  /** Content of the stored `stdout` or `stderr`, or undefined when it was not a regular file. */
  readRole(role: 'stdout' | 'stderr', toFd: number, options?: OperationOptions): Promise<boolean>;
  /** Reads and checks every byte without writing anywhere. */
  verify(options?: OperationOptions): Promise<void>;
}

/** One incarnation's exclusive right to write. Every method throws `ERR_STORE_FENCED` once a newer incarnation claimed the job. */
export interface Claim extends AsyncDisposable {
  readonly jobId: string;
  readonly epoch: number;
  /** Checkpoints that were found unreadable or incomplete at the claim, newest first: one error each, naming the object. For a warning. */
  readonly damaged: readonly StoreError[];
  /** Newest first; only complete ones. */
  checkpoints(options?: OperationOptions): Promise<readonly CheckpointSummary[]>;
  open(sequence: number, options?: OperationOptions): Promise<StoredCheckpoint>;
  /** Stores one checkpoint. Aborting leaves the previous ones untouched and removes what was uploaded, as far as the store is reachable. */
  write(request: WriteRequest, options?: OperationOptions): Promise<CheckpointSummary>;
  /** Removes all but the newest `keep` checkpoints and rewrites packs less than half alive. */
  retain(keep: number, options?: OperationOptions): Promise<void>;
  /** Throws ERR_STORE_FENCED when a newer incarnation exists. */
  check(options?: OperationOptions): Promise<void>;
  finished(options?: OperationOptions): Promise<(FinishedRecord & { readonly stored: StoredCheckpoint }) | undefined>;
  /** Leaves a finished record (an end that fell into an eviction). */
  finish(record: FinishedRecord, files: readonly FileEntry[], options?: OperationOptions): Promise<void>;
  /** The job is over: removes everything it has in the store. */
  remove(options?: OperationOptions): Promise<void>;
}

export interface Store extends AsyncDisposable {
  readonly url: string;
  /** Takes the job over from any older incarnation. Retries nothing: the caller decides how long to wait for an unreachable store. */
  claim(jobId: string, options?: OperationOptions): Promise<Claim>;
  /** Read-only look at a job, without claiming it; undefined when the store has none of that id. */
  inspect(jobId: string, options?: OperationOptions): Promise<JobView | undefined>;
  list(options?: OperationOptions): Promise<readonly JobSummary[]>;
  /** Removes a job whether or not somebody runs it (that incarnation is fenced). False when there was none. */
  remove(jobId: string, options?: OperationOptions): Promise<boolean>;
  close(): Promise<void>;
}

export interface JobView {
  readonly summary: JobSummary;
  checkpoints(options?: OperationOptions): Promise<readonly CheckpointSummary[]>;
  open(sequence: number, options?: OperationOptions): Promise<StoredCheckpoint>;
}
