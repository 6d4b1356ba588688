/** Writes one checkpoint or finished record: context and files into packs, then the manifest, which makes it visible, then the head. */
import { closeSync } from 'node:fs';
import { retry } from '../util/retry.ts';
import { abortable } from './abort.ts';
import { sealObject } from './cipher.ts';
import type { CodecName } from './codec.ts';
import { writeHead } from './head.ts';
import { encodeManifest, MAX_PACK, type Manifest } from './manifest.ts';
import { manifestName } from './names.ts';
import { knownUnits } from './retention.ts';
import type { RunDirectory } from './run-directory.ts';
import { badContext, badFile } from './store-error.ts';
import type { CheckpointRecord, FileEntry, FinishedRecord, OperationOptions } from './types.ts';
import { WritePipeline } from './write-pipeline.ts';
import type { FileJob, WriteResult } from './write-protocol.ts';

/** Pause and number of tries for small objects; the same span as for packs. */
const RETRIES = { attempts: 7, baseMs: 250, maxMs: 8000 };
const PACKS_IN_MEMORY = 4;

export interface WriterContext {
  readonly run: RunDirectory;
  readonly key: Uint8Array | undefined;
  readonly codec: CodecName;
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
    const [contextBytes] = await Promise.all([pipeline.contextRead(), abortable(source.complete, options.signal)]);
    if (contextBytes === 0 && source.contextFd !== undefined) throw badContext('it is empty');
    const files = await source.files();
    const result = await pipeline.finish(toJobs(files, context.manifests));
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
  const { run, key, codec, manifests } = context;
  const { onProgress, signal } = options;
  try {
    return new WritePipeline({
      init: {
        jobId: run.jobId,
        epoch: run.epoch,
        codec,
        key,
        known: knownUnits(manifests),
        packBytes: MAX_PACK,
        packCount: PACKS_IN_MEMORY,
      },
      contextFd,
      put: (name, data, abort, onBytes) => run.put(name, data, { signal: abort, onBytes }),
      signal,
      onProgress: onProgress && ((bytes, shipped) => onProgress({ bytes, shipped })),
    });
  } catch (error) {
    if (contextFd !== undefined) closeSync(contextFd);
    throw error;
  }
}

function toJobs(files: readonly FileEntry[], manifests: readonly Manifest[]): FileJob[] {
  return files.map((entry) => {
    const { path, size, source } = entry;
    if (entry.kind !== 'file') return { path, size: 0 };
    if (source !== undefined) return { path, size, source };
    const previous = manifests[0];
    const same = previous?.files.find(
      ({ entry: old }) => old.path === path && old.role === entry.role && old.kind === 'file',
    );
    if (previous === undefined || same === undefined || same.entry.size !== size) {
      throw badFile(path, 'it has no source and is not part of the previous checkpoint');
    }
    return { path, size, carried: { recipe: same.recipe, rows: previous.rows, packs: previous.packs } };
  });
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

async function publish({ run, key }: WriterContext, manifest: Manifest, { signal }: OperationOptions): Promise<void> {
  const { epoch, sequence } = manifest;
  const { name } = nameOf(manifest);
  const encoded = encodeManifest(manifest);
  const place = { purpose: 'manifest', jobId: run.jobId, epoch, sequence, name } as const;
  const object = key === undefined ? encoded : sealObject(key, place, encoded);
  await retry(() => run.put(name, object, { signal }), { ...RETRIES, signal });
  if (key === undefined) return;
  // From here on the checkpoint exists: a head that cannot be renewed now is renewed with the next one, and an older head is no error.
  await retry(() => writeHead(run, key, { epoch, sequence }, { signal }), { ...RETRIES, signal }).catch(
    () => undefined,
  );
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
  try {
    for (const kind of ['checkpoint', 'finished'] as const)
      await run.remove(manifestName(kind, sequence, run.epoch).name);
    for (const { name } of pipeline.shipped) await run.remove(name);
  } catch {
    // The error that led here is the one to report.
  }
}
