/** A checkpoint that can be read: its context, its files, or all of it for verification. */
import { closeSync, fstatSync } from 'node:fs';
import { extractFiles } from './extract.ts';
import type { Manifest } from './manifest.ts';
import { ReadPipeline } from './read-pipeline.ts';
import type { SinkSpec } from './read-protocol.ts';
import type { ObjectSource } from './run-directory.ts';
import { badArgument } from './store-error.ts';
import type { CheckpointRecord, CheckpointSummary, FileEntry, OperationOptions, StoredCheckpoint } from './types.ts';

export function summarise(manifest: Manifest, record: CheckpointRecord): CheckpointSummary {
  const { sequence, epoch, created, contextBytes, fileBytes, storedBytes } = manifest;
  return { sequence, epoch, created, contextBytes, fileBytes, storedBytes, record };
}

export class ManifestReader implements StoredCheckpoint {
  readonly summary: CheckpointSummary;
  readonly files: readonly FileEntry[];
  readonly #manifest: Manifest;
  readonly #source: ObjectSource;
  readonly #key: Uint8Array | undefined;

  /** @param record Facts to show for a manifest that carries none of its own (a finished record). */
  constructor(source: ObjectSource, manifest: Manifest, key: Uint8Array | undefined, record: CheckpointRecord) {
    this.summary = summarise(manifest, record);
    this.files = manifest.files.map(({ entry }) => entry);
    this.#manifest = manifest;
    this.#source = source;
    this.#key = key;
  }

  async writeContext(fd: number, options: OperationOptions = {}): Promise<void> {
    const taken = new Int32Array(new SharedArrayBuffer(4));
    const stat = fstatSync(fd);
    const isStream = stat.isFIFO() || stat.isSocket();
    if (!isStream && !stat.isFile()) throw badArgument(`descriptor ${fd} is neither a pipe nor a file`);
    try {
      await using pipeline = this.#pipeline(options);
      await pipeline.copy(
        this.#manifest.context,
        isStream ? { kind: 'stream', fd, taken } : { kind: 'descriptor', fd },
      );
    } finally {
      // The thread has ended: what it took over is closed.
      if (Atomics.load(taken, 0) === 0) closeSync(fd);
    }
  }

  async extractFiles(directory: string, options: OperationOptions = {}): Promise<void> {
    const files = this.#manifest.files.filter(({ entry }) => entry.role === 'scratch');
    if (files.length === 0) return;
    await using pipeline = this.#pipeline(options);
    await extractFiles(
      files,
      directory,
      async (recipe, path) => void (await pipeline.copy(recipe, { kind: 'file', path })),
      options.signal,
    );
  }

  async readRole(role: 'stdout' | 'stderr', toFd: number, options: OperationOptions = {}): Promise<boolean> {
    const file = this.#manifest.files.find(({ entry }) => entry.role === role && entry.kind === 'file');
    if (file === undefined) return false;
    if (!fstatSync(toFd).isFile()) throw badArgument(`descriptor ${toFd} is not a regular file`);
    await using pipeline = this.#pipeline(options);
    await pipeline.copy(file.recipe, { kind: 'descriptor', fd: toFd });
    return true;
  }

  async verify(options: OperationOptions = {}): Promise<void> {
    await using pipeline = this.#pipeline(options);
    const nowhere: SinkSpec = { kind: 'nowhere' };
    await pipeline.copy(this.#manifest.context, nowhere);
    for (const { recipe } of this.#manifest.files) await pipeline.copy(recipe, nowhere);
  }

  #pipeline({ signal, onProgress }: OperationOptions): ReadPipeline {
    signal?.throwIfAborted();
    const { jobId, rows, packs, contextBytes, fileBytes } = this.#manifest;
    return new ReadPipeline({
      init: { jobId, key: this.#key, rows, packs, directory: this.#source.pathOf('') },
      bytes: contextBytes + fileBytes,
      get: (pack, offset, length, abort) => this.#source.get(pack, offset, length, { signal: abort }),
      signal,
      onProgress: onProgress && ((bytes, shipped) => onProgress({ bytes, shipped })),
    });
  }
}
