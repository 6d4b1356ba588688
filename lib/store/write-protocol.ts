/** Messages between the thread that ships packs and the one that reads, hashes, compresses and seals. */
import { StoreError } from '../errors.ts';
import type { CodecName } from './codec.ts';
import type { PackRef } from './manifest.ts';
import { failed } from './store-error.ts';

/** Units of an earlier checkpoint. */
export interface KnownUnits {
  readonly rows: Uint8Array;
  readonly packs: readonly PackRef[];
  /** Packs so sparse that nothing new may refer to them, by index. */
  readonly isSparse: readonly boolean[];
}

export interface ContextInput {
  readonly fd: number;
  /** A pipe or socket: the worker closes it. */
  readonly isStream: boolean;
  /** One Int32, set to 1 when the worker has taken `fd` over. */
  readonly taken: Int32Array;
}

export interface WriteInit {
  /** Path of the addon inside the single executable (native/digest.ts). */
  readonly addon: string | undefined;
  readonly jobId: string;
  readonly epoch: number;
  readonly codec: CodecName;
  /** The job's key (cipher.ts). */
  readonly key: Uint8Array | undefined;
  /** Newest first. */
  readonly known: readonly KnownUnits[];
  readonly input: ContextInput | undefined;
  readonly packBytes: number;
  /** Packs in memory at once. */
  readonly packCount: number;
}

export interface FileJob {
  readonly path: string;
  readonly size: number;
  readonly source?: string;
  /** Instead of a source: the recipe in the previous checkpoint. */
  readonly carried?: Uint8Array;
}

/** Units that carried files refer to. */
export interface PreviousUnits {
  readonly rows: Uint8Array;
  readonly packs: readonly PackRef[];
  /** By row: content to be stored again instead of being referred to. */
  readonly revived: ReadonlyMap<number, Uint8Array>;
}

export type ToWriteWorker =
  | { readonly type: 'shipped'; readonly memory: SharedArrayBuffer }
  | { readonly type: 'files'; readonly files: readonly FileJob[]; readonly previous: PreviousUnits | undefined };

export interface WriteResult {
  readonly rows: Uint8Array<ArrayBuffer>;
  readonly packs: readonly PackRef[];
  readonly context: Uint8Array;
  readonly contextBytes: number;
  readonly files: readonly Uint8Array[];
  readonly fileBytes: number;
}

export type FromWriteWorker =
  | { readonly type: 'pack'; readonly name: string; readonly memory: SharedArrayBuffer; readonly length: number }
  | { readonly type: 'progress'; readonly bytes: number }
  | { readonly type: 'context'; readonly bytes: number }
  | { readonly type: 'done'; readonly result: WriteResult }
  | { readonly type: 'error'; readonly error: PlainError };

/** A StoreError without its class, which a message cannot carry. */
export interface PlainError {
  readonly code: string;
  readonly message: string;
  readonly path: string | undefined;
  readonly retriable: boolean;
  readonly cause: string | undefined;
}

export function toPlainError(error: unknown): PlainError {
  const known = error instanceof StoreError ? error : failed(String(error), { cause: error });
  const cause = known.cause === undefined ? undefined : String(known.cause);
  return { code: known.code, message: known.message, path: known.path, retriable: known.retriable, cause };
}

export function fromPlainError({ code, message, path, retriable, cause }: PlainError): StoreError {
  return new StoreError(message, {
    code,
    retriable,
    ...(path === undefined ? {} : { path }),
    ...(cause === undefined ? {} : { cause: new Error(cause) }),
  });
}
