/**
 * What a storage must be able to do for the store: a handful of operations on whole objects. Everything above (packs, manifests, fencing) is
 * shared by all drivers, and so are their tests. Paths are relative to the store's root, `/` separated, made by names.ts only.
 */
import type { RateLimit } from './rate-limit.ts';

export interface DriverOptions {
  readonly signal?: AbortSignal | undefined;
}

export interface PutOptions extends DriverOptions {
  /** Called with the bytes handed over since the last call. */
  readonly onBytes?: ((count: number) => void) | undefined;
  /** Slows the sending down. */
  readonly rate?: RateLimit | undefined;
}

export interface Entry {
  readonly name: string;
  readonly isDirectory: boolean;
  readonly size: number;
  /** Milliseconds since the epoch, by the storage's clock. */
  readonly modified: number;
}

/** All methods throw StoreError: UNREACHABLE, FULL, DENIED, NOT_FOUND, IO; an abort rejects with the signal's reason. */
export interface Driver {
  readonly url: string;
  /** True when bytes do not cross a network: the default codec is then `none`. */
  readonly isLocal: boolean;
  /** Makes the root when it is missing. */
  prepare(options?: DriverOptions): Promise<void>;
  /** Writes a whole object under a temporary name, syncs it and renames it to `path`, replacing what is there. Nobody sees a part of it. */
  put(path: string, data: Uint8Array, options?: PutOptions): Promise<void>;
  /**
   * Writes and syncs an object that nobody looks for until an object put later names it, which spares the rename and the sync of the directory: those of
   * that later `put` serve for both. `path` must never have been used: a failure may leave a part of the object there, or remove it much later.
   */
  add(path: string, data: Uint8Array, options?: PutOptions): Promise<void>;
  /** Reads exactly `length` bytes at `offset`; an object that is shorter fails with ERR_STORE_CORRUPT. */
  get(path: string, offset: number, length: number, options?: DriverOptions): Promise<Uint8Array>;
  /** undefined when there is no such object. */
  stat(path: string, options?: DriverOptions): Promise<Entry | undefined>;
  /** undefined when there is no such directory. */
  list(path: string, options?: DriverOptions): Promise<readonly Entry[] | undefined>;
  /** Atomic; replaces files; fails with NOT_FOUND when `from` is gone and with `ERR_STORE_EXISTS` when `to` is a directory in use. */
  rename(from: string, to: string, options?: DriverOptions): Promise<void>;
  /** False when it exists already. Parents must exist. */
  mkdir(path: string, options?: DriverOptions): Promise<boolean>;
  /** Removes one file; false when it was gone already. */
  remove(path: string, options?: DriverOptions): Promise<boolean>;
  /** Removes a directory with everything in it; one that is gone already is no error. */
  removeTree(path: string, options?: DriverOptions): Promise<void>;
  close(): Promise<void>;
}
