/** The words of the public API that are not classes. */

import type { Writable } from 'node:stream';
import type { RetryPolicy } from '../util/retry.ts';

export type AuthMethod = 'hostname' | 'address' | 'unix' | 'ticket';

/** A name on the server, anchored at the server's root. Strings are sent as UTF-8, bytes as they are. */
export type ChirpPath = string | Uint8Array;

/** How and with whom to talk. */
export interface ChirpClientOptions {
  readonly host: string;
  /** Default 9094. */
  readonly port?: number;
  /**
   * Methods to try in this order; the first success fixes the identity. Default hostname, unix, address; ticket first when tickets are given.
   * A server that an ordinary user has started gives rights to `unix:user` only: name unix first there.
   */
  readonly auth?: readonly AuthMethod[];
  /** File names of tickets (RSA private keys in PEM), tried in this order. */
  readonly tickets?: readonly string[];
  /** Directories in which a server may ask for a challenge file (method unix). Default ['/tmp']. */
  readonly challengeDirectories?: readonly string[];
  /** Milliseconds for connecting and logging in, default 15000, 0 = no limit. */
  readonly connectTimeoutMs?: number;
  /** Milliseconds without a byte from or to the server before the connection is given up, default 30000, 0 = no limit. */
  readonly stallTimeoutMs?: number;
  /** The same for requests the server answers only after work that grows with the data (fsync, hash, rmall, the end of a put, …), default 300000. */
  readonly slowTimeoutMs?: number;
  /** Milliseconds between keep-alives of an idle connection, default 20000 (servers drop idle clients after 60 s), 0 = none. */
  readonly keepAliveMs?: number;
  /** Requests sent ahead of their replies, default 64. */
  readonly maxPipelined?: number;
  /** Permits names that start with `.__`, which the server uses for its own files (ACLs). Default false. */
  readonly allowReserved?: boolean;
  /** What to do about retriable failures of idempotent requests and of connecting; false = nothing. */
  readonly retry?: RetryPolicy | false;
  /** Told about every retry. */
  readonly onRetry?: (error: unknown, attempt: number, delayMs: number) => void;
}

export interface RequestOptions {
  /** Rejects with the signal's reason. A request in the middle of a body costs the connection (the next request makes a new one). */
  readonly signal?: AbortSignal;
  /** Milliseconds for the whole operation with its retries, default 0 = no limit. Fails with ETIMEDOUT. */
  readonly timeoutMs?: number;
}

export interface TransferProgress {
  /** Bytes moved so far in the current try. */
  readonly bytes: number;
  readonly total: number;
}

export interface TransferOptions extends RequestOptions {
  readonly onProgress?: (progress: TransferProgress) => void;
}

/** A descriptor with a position: content is read or written from `position` (default 0) with pread/pwrite. Left open. */
export interface DescriptorRange {
  readonly fd: number;
  /** Byte offset, default 0. Use null for a pipe or the current position. */
  readonly position?: number | null;
}

/** What can be uploaded. Buffers and descriptors can be sent again after a broken connection, streams cannot. */
export type PutSource = string | Uint8Array | readonly Uint8Array[] | AsyncIterable<Uint8Array> | DescriptorRange;

export interface PutOptions extends TransferOptions {
  /** Bytes; required for streams and pipes, default for a descriptor: its size from `position` on. */
  readonly size?: number;
  /** Permission bits, default 0o600. The server forces owner rw and removes group and other. */
  readonly mode?: number;
  /** Upload under a temporary name in the same directory and rename, default true: readers see the old or the new content, never a part. Needs rights rwd. */
  readonly atomic?: boolean;
  /** fsync the file, and with `atomic` the directory, before success is reported. Default false. */
  readonly sync?: boolean;
  /** Ask for the free space first and refuse with CHIRP_NO_SPACE before sending: the server itself notices only after the whole body. Default: from 1 MiB on. */
  readonly checkSpace?: boolean;
}

/** Where a download goes: a descriptor (pwrite), or a stream (written with back-pressure, not ended). */
export type GetTarget = Writable | DescriptorRange;

export interface GetBufferOptions extends TransferOptions {
  /** Refuse files larger than this many bytes, default 1 GiB. */
  readonly maxBytes?: number;
}

/** A stat record. Times are whole seconds since 1970; uid and gid are those of the server process and say nothing about access. */
export interface ChirpStat {
  readonly dev: number;
  readonly ino: bigint;
  /** Type and permission bits as in struct stat. */
  readonly mode: number;
  readonly nlink: number;
  readonly uid: number;
  readonly gid: number;
  readonly rdev: number;
  readonly size: number;
  readonly blksize: number;
  readonly blocks: number;
  readonly atime: number;
  readonly mtime: number;
  readonly ctime: number;
  readonly type: 'file' | 'directory' | 'symlink' | 'other';
}

/** Free space of the file system below a directory; counts of blocks of `bsize` bytes. */
export interface ChirpStatfs {
  readonly type: number;
  readonly bsize: number;
  readonly blocks: number;
  readonly bfree: number;
  readonly bavail: number;
  readonly files: number;
  readonly ffree: number;
}

export interface ChirpEntry {
  readonly name: string;
  /** The name as it is on the server, for names that are not UTF-8. */
  readonly nameBytes: Buffer;
  /** lstat data. */
  readonly stat: ChirpStat;
}

export interface ChirpAclEntry {
  /** `method:name`, `*` matches anything. */
  readonly subject: string;
  /** Letters out of rwldpax and v(…). */
  readonly rights: string;
}

export interface ChirpIdentity {
  /** The method that succeeded. */
  readonly method: AuthMethod;
  /** The name the server gave, without the method. */
  readonly name: string;
}

export interface TicketInfo {
  readonly subject: string;
  /** Public key, PEM. */
  readonly publicKey: string;
  /** Seconds until it expires. */
  readonly secondsLeft: number;
  readonly rights: readonly { readonly path: string; readonly rights: string }[];
}
