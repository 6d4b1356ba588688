/** Writes one checkpoint or finished record: context and files into packs, then the manifest, which makes it visible, then the head. */
import { closeSync } from 'node:fs';
import { pause } from '../util/retry.ts';
import { abortable } from './abort.ts';
import { sealObject } from './cipher.ts';
import type { CodecName } from './codec.ts';
import { MAX_PIECE } from './frames.ts';
import { writeHead } from './head.ts';
import { encodeManifest, type Manifest, type StoredFile } from './manifest.ts';
import { manifestName } from './names.ts';
import { RateLimit } from './rate-limit.ts';
import { knownUnits, sparsePacks } from './retention.ts';
import { reviveUnits } from './revive.ts';
import type { RunDirectory } from './run-directory.ts';
import { badFile, isStoreError } from './store-error.ts';
import type { CheckpointRecord, FileEntry, FinishedRecord, OperationOptions } from './types.ts';
import { retryUpload } from './upload-retry.ts';
import { WritePipeline } from './write-pipeline.ts';
import type { FileJob, WriteResult } from './write-protocol.ts';

/** Milliseconds spent on removing what a failed write has uploaded. */
const DISCARD_MS = 5000;
/** Milliseconds to wait for the engine's own explanation of a broken context. */
const REASON_MS = 1000;
const PACKS_IN_MEMORY = 4;
/** The largest piece of a context and as much again. */
const SMALLEST_PACK = 2 * MAX_PIECE;

export interface WriterContext {
  readonly run: RunDirectory;
  readonly key: Uint8Array | undefined;
  /** See head.ts. */
  readonly life: string;
  readonly codec: CodecName;
  readonly packBytes: number;
  /** Complete checkpoints, newest first. */
  readonly manifests: readonly Manifest[];
  readonly sequence: number;
}

export interface WriteSource {
  readonly contextFd: number | undefined;
  /** Nothing is published before it resolves. */
  readonly complete: Promise<unknown>;
  readonly files: () => Promise<readonly FileEntry[]>;
  /** Asked last. */
  readonly facts: () => {
    readonly record?: CheckpointRecord | undefined;
    readonly finished?: FinishedRecord | undefined;
  };
}

/** Stores and publishes. On failure everything that was uploaded is removed again, as far as the store is reachable. */
export async function writeManifest(
  context: WriterContext,
  source: WriteSource,
  options: OperationOptions,
): Promise<Manifest> {
  source.complete.catch(() => undefined);
  const pipeline = startPipeline(context, source.contextFd, options);
  try {
    const isRead = explained(pipeline.contextRead(), source.complete);
    await Promise.all([isRead, abortable(source.complete, options.signal)]);
    const files = await abortable(source.files(), options.signal);
    const result = await storeFiles(context, pipeline, files, options);
    const manifest = toManifest(context, source, files, result, pipeline.shippedBytes);
    await publish(context, manifest, options);
    return manifest;
  } catch (error) {
    await pipeline.stopUploads();
    await discard(context, pipeline);
    throw error;
  } finally {
    await pipeline.close();
  }
}

function startPipeline(
  context: WriterContext,
  contextFd: number | undefined,
  options: OperationOptions,
): WritePipeline {
  const { run, key, codec, packBytes, manifests } = context;
  const { onProgress, onRetry, signal, maxRate, bufferBytes } = options;
  const rate = maxRate === undefined ? undefined : new RateLimit(maxRate);
  try {
    return new WritePipeline({
      init: {
        jobId: run.jobId,
        epoch: run.epoch,
        codec,
        key,
        known: knownUnits(manifests),
        packBytes: bufferBytes === undefined ? packBytes : packSize(packBytes, bufferBytes),
        packCount: PACKS_IN_MEMORY,
      },
      contextFd,
      add: (name, data, abort, onBytes) => run.add(name, data, { signal: abort, onBytes, rate }),
      signal,
      onProgress,
      onRetry,
    });
  } catch (error) {
    if (contextFd !== undefined) closeQuietly(contextFd);
    throw error;
  }
}

const packSize = (largest: number, bufferBytes: number): number =>
  Math.min(largest, Math.max(SMALLEST_PACK, Math.floor(bufferBytes / PACKS_IN_MEMORY)));

function closeQuietly(fd: number): void {
  try {
    closeSync(fd);
  } catch {
    // It was not open, which is what the caller is about to be told.
  }
}

/** When the engine gives up, the stream breaks as well: its reason says more than ours, even if it comes a little later. */
async function explained(read: Promise<number>, complete: Promise<unknown>): Promise<void> {
  try {
    await read;
  } catch (error) {
    if (isStoreError(error, 'CONTEXT')) await Promise.race([complete, pause(REASON_MS)]);
    throw error;
  }
}

async function storeFiles(
  { run, key, manifests }: WriterContext,
  pipeline: WritePipeline,
  files: readonly FileEntry[],
  options: OperationOptions,
): Promise<WriteResult> {
  const previous = manifests[0];
  const stored = new Map(previous?.files.map((file) => [`${file.entry.role}/${file.entry.path}`, file]));
  const carried: StoredFile[] = [];
  const jobs = files.map((entry): FileJob => {
    const { path, size, source, role } = entry;
    if (entry.kind !== 'file') return { path, size: 0 };
    if (source !== undefined) return { path, size, source };
    const same = stored.get(`${role}/${path}`);
    if (same?.entry.kind !== 'file' || same.entry.size !== size) {
      throw badFile(path, 'it has no source and is not part of the previous checkpoint');
    }
    carried.push(same);
    return { path, size, carried: same.recipe };
  });
  if (previous === undefined) return await pipeline.finish(jobs, undefined);
  const revived = await reviveUnits(run, key, previous, sparsePacks(previous), carried, options);
  return await pipeline.finish(jobs, { rows: previous.rows, packs: previous.packs, revived });
}

function toManifest(
  { run, sequence }: WriterContext,
  source: WriteSource,
  files: readonly FileEntry[],
  result: WriteResult,
  storedBytes: number,
): Manifest {
  const { rows, packs, context, contextBytes, fileBytes } = result;
  return {
    jobId: run.jobId,
    epoch: run.epoch,
    sequence,
    created: Date.now(),
    contextBytes,
    fileBytes,
    storedBytes,
    ...source.facts(),
    packs,
    rows,
    context,
    files: files.map(({ source: _, ...entry }, index) => ({ entry, recipe: result.files[index] ?? new Uint8Array() })),
  };
}

async function publish(
  { run, key, life }: WriterContext,
  manifest: Manifest,
  { signal, onRetry }: OperationOptions,
): Promise<void> {
  const { epoch, sequence } = manifest;
  const { name } = nameOf(manifest);
  const encoded = encodeManifest(manifest);
  const place = { purpose: 'manifest', jobId: run.jobId, life, epoch, sequence, name } as const;
  const object = key === undefined ? encoded : sealObject(key, place, encoded);
  await retryUpload(() => run.put(name, object, { signal }), signal, onRetry);
  if (key === undefined) return;
  // From here on the checkpoint exists: a head that cannot be renewed now is renewed with the next one, and an older head is no error.
  const renew = (): Promise<void> => writeHead(run, key, { life, epoch, sequence }, { signal });
  await retryUpload(renew, signal, onRetry).catch(() => undefined);
}

function nameOf({
  finished,
  sequence,
  epoch,
}: Pick<Manifest, 'finished' | 'sequence' | 'epoch'>): ReturnType<typeof manifestName> {
  return manifestName(finished === undefined ? 'checkpoint' : 'finished', sequence, epoch);
}

/**
 * Manifest first: an upload whose answer was lost may have published it, and it must not outlive its packs. What cannot be removed now is
 * removed by the next retain or claim.
 */
async function discard({ run, sequence }: WriterContext, pipeline: WritePipeline): Promise<void> {
  const options = { signal: AbortSignal.timeout(DISCARD_MS) };
  const kinds = ['checkpoint', 'finished'] as const;
  try {
    for (const kind of kinds) await run.remove(manifestName(kind, sequence, run.epoch).name, options);
    for (const name of pipeline.shipped) await run.remove(name, options);
  } catch {
    // The error that led here is the one to report.
  }
}
