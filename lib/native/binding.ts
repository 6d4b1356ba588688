/**
 * The typed border between TypeScript and C++: native/addon implements exactly this interface and nothing else crosses.
 * Plain values and opaque handles only. C++ checks types; TypeScript validates meaning. Functions throw Error objects that carry `code`, `errno`
 * (negative) and `syscall`; load.ts and checkpoint/ turn them into the classes of errors.ts.
 */

/** A pending request. Created by requestCheckpoint or requestRestart, released by reap* or closeHandle. Type-tagged external. */
export interface RequestHandle {
  readonly __brand: 'node-blcr.request';
}

export interface LibraryInfo {
  /** The path given to dlopen that worked. */
  readonly path: string;
  /** `userspace` when the crx_* extensions are present, else `blcr`. */
  readonly kind: 'userspace' | 'blcr';
  /** Value of crx_abi_version(), 0 for genuine BLCR. */
  readonly extensions: number;
  /** Keeper executable of the userspace library. */
  readonly keeper: string | undefined;
}

export interface NativeCheckpointArgs {
  readonly scope: number;
  readonly target: number;
  readonly fd: number;
  readonly signal: number;
  readonly timeoutSeconds: number;
  readonly flags: number;
  /** Ignored (must be absent) with genuine BLCR. Member by member crx_checkpoint_options_t. */
  readonly extension?: {
    readonly snapshot: number;
    readonly memoryBudget: number;
    readonly captureRoot: string | undefined;
    readonly captureInto: string | undefined;
    readonly captureBaseline: string | undefined;
    readonly captureExtra: readonly string[];
    readonly checksum: number;
    readonly tcp: number;
    readonly unixSockets: number;
  };
}

export interface NativeRestartArgs {
  readonly fd: number;
  readonly signal: number;
  readonly flags: number;
  readonly relocate: readonly (readonly [from: string, to: string])[];
  /** Member by member crx_restart_options_t. */
  readonly extension?: {
    readonly files: number;
    readonly binds: readonly (readonly [from: string, to: string])[];
    readonly lifelineFd: number;
    readonly answers: number;
    readonly stdioFds: readonly [number, number, number];
  };
}

/** crx_result_t. Times in microseconds, sizes in bytes. */
export interface NativeResult {
  readonly error: number;
  readonly snapshot: number;
  readonly processes: number;
  readonly threads: number;
  readonly restartedPid: number;
  readonly stopUs: number;
  readonly captureUs: number;
  readonly totalUs: number;
  readonly pages: number;
  readonly bytes: number;
  readonly capturedFiles: number;
  readonly capturedBytes: number;
}

export interface NativeBinding {
  /** dlopens the first candidate that exports libcr's symbols; throws `ERR_LIBCR_NOT_FOUND` with `tried` when none does. Once per environment; later calls return the same. */
  openLibrary(candidates: readonly string[]): LibraryInfo;
  /** cr_init() on the calling thread. */
  init(): number;
  /** cr_request_checkpoint / crx_request_checkpoint. Short: it never waits for the target. */
  requestCheckpoint(args: NativeCheckpointArgs): RequestHandle;
  /** cr_request_restart / crx_request_restart. */
  requestRestart(args: NativeRestartArgs): RequestHandle;
  /** crx_request_store. */
  requestStore(): RequestHandle;
  /** Resolves when the request is complete (uv_poll; stopped before it resolves). Keeps the event loop alive while pending. One waiter at a time. */
  waitReadable(handle: RequestHandle): Promise<void>;
  /** crx_cancel; false when the library has no such function. The request still completes and must be reaped. */
  cancel(handle: RequestHandle): boolean;
  /** cr_poll_checkpoint with a timeout of 0: 0 pending, 1 done (and reaped), negative CR_POLL_CHKPT_ERR_* with `errno`. */
  pollCheckpoint(handle: RequestHandle): { readonly result: number; readonly errno: number };
  /** cr_log_checkpoint / cr_log_restart: before reaping. */
  readLog(handle: RequestHandle): string;
  /** crx_result: before reaping; undefined with genuine BLCR. */
  result(handle: RequestHandle): NativeResult | undefined;
  /** cr_reap_checkpoint (0) / cr_reap_restart (the child's pid). Throws with the request's error. Refuses (EAGAIN, handle untouched) while pending. */
  reap(handle: RequestHandle): number;
  /** Abandons a handle without reaping. */
  closeHandle(handle: RequestHandle): void;
  /** cr_strerror. */
  strerror(code: number): string;
  /** pipe2(O_CLOEXEC) with a 1 MiB buffer when allowed: [read, write]. Both blocking. */
  createPipe(): readonly [number, number];
  /** socketpair(2), AF_UNIX, SOCK_STREAM, close-on-exec. */
  createSocketPair(): readonly [number, number];
  /** mkfifo(3), mode 0600. */
  makeFifo(path: string): void;
  /** False while another call, of any thread of this process, has the turn: its checkpoint's file is open. Ends with the environment. */
  takeTurn(): boolean;
  endTurn(): void;
  /** What the C library's heap keeps for later, and pages of code that their files have as well, go back to the system. */
  trimMemory(): void;
  /** Waits for a direct child that libuv does not know (the pid a restart returned): resolves with the raw wait status of waitpid(2). pidfd, else SIGCHLD-free polling. */
  waitChild(pid: number): Promise<number>;
  /**
   * SHA-256 of pieces of `content` (offset and length of each, in turn) into `digests`, 32 bytes each; false, and nothing done, when this processor
   * has no instructions for it.
   */
  sha256(content: Uint8Array, ranges: Uint32Array, digests: Uint8Array): boolean;
}
