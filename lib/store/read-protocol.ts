/** Messages between the thread that fetches packs and the one that verifies, decodes and writes. Every request is answered in order. */
import type { Range } from './fetch-plan.ts';
import type { PackRef } from './manifest.ts';
import type { PlainError } from './write-protocol.ts';

export interface ReadInit {
  readonly jobId: string;
  /** The job's key (cipher.ts). */
  readonly key: Uint8Array | undefined;
  readonly rows: Uint8Array;
  readonly packs: readonly PackRef[];
  /** Put before a pack's name in messages. */
  readonly directory: string;
}

/** Where decoded bytes go. */
export type SinkSpec =
  | { readonly kind: 'nowhere' }
  /** A pipe or socket, closed at the end. */
  | { readonly kind: 'stream'; readonly fd: number; readonly taken: Int32Array }
  /** A regular file, from its current offset on; left open. */
  | { readonly kind: 'descriptor'; readonly fd: number }
  /** A file to be created, with holes for zeros; must not exist. */
  | { readonly kind: 'file'; readonly path: string };

export type ToReadWorker =
  | { readonly type: 'open'; readonly sink: SinkSpec; readonly recipe: Uint8Array }
  | {
      readonly type: 'window';
      readonly units: number;
      readonly ranges: readonly (Range & { readonly data: Uint8Array })[];
    }
  | { readonly type: 'close' };

export type FromReadWorker =
  | { readonly type: 'done'; readonly bytes: number; readonly isBroken: boolean }
  | { readonly type: 'error'; readonly error: PlainError };
