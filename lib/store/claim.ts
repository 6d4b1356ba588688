/** One incarnation's exclusive right to write a job. */
import type { StoreError } from '../errors.ts';
import { type Catalog, isTemporary, type ManifestCache, readCatalog, unreferenced } from './catalog.ts';
import { type WriteSource, writeManifest } from './checkpoint-writer.ts';
import type { CodecName } from './codec.ts';
import type { Driver } from './driver.ts';
import { claimRun, findRun, removeJob, sweepRoot } from './fence.ts';
import { newLife, writeHead } from './head.ts';
import { MAX_PACK } from './manifest.ts';
import { unknownRecord } from './records.ts';
import { keptManifests } from './retention.ts';
import { FollowedRun, RunDirectory } from './run-directory.ts';
import { badArgument, closed, isStoreError, notFound } from './store-error.ts';
import { ManifestReader, summarise } from './stored-checkpoint.ts';
import type {
  CheckpointSummary,
  Claim,
  FileEntry,
  FinishedRecord,
  OperationOptions,
  StoredCheckpoint,
  WriteRequest,
} from './types.ts';

export interface ClaimContext {
  readonly driver: Driver;
  /** The job's key (cipher.ts). */
  readonly key: Uint8Array | undefined;
  readonly codec: CodecName;
  /** Size of packs in bytes, default and at most 32 MiB. */
  readonly packBytes?: number;
}

/**
 * Reads what is there before taking anything over, so that a wrong key or a newer format stops us and nobody else; then fences, reads again
 * what the older incarnation may have added in between, and clears away what it left unfinished.
 */
export async function claimJob(context: ClaimContext, jobId: string, options: OperationOptions): Promise<JobClaim> {
  const { driver, key } = context;
  const cache: ManifestCache = new Map();
  await driver.prepare(options);
  await lookAt(driver, jobId, key, cache, options);
  const run = new RunDirectory(driver, jobId, await claimRun(driver, jobId, options));
  const catalog = await readCatalog(run, key, cache, options);
  const sequence = Math.max(0, ...catalog.manifests.map((manifest) => manifest.sequence));
  const life = catalog.life ?? newLife();
  if (key !== undefined) await writeHead(run, key, { life, epoch: run.epoch, sequence }, options);
  await clearLeftovers(driver, run, catalog, options);
  return new JobClaim(context, run, catalog, life);
}

async function lookAt(
  driver: Driver,
  jobId: string,
  key: Uint8Array | undefined,
  cache: ManifestCache,
  options: OperationOptions,
): Promise<void> {
  const present = await findRun(driver, jobId, options);
  if (present === undefined) return;
  try {
    await readCatalog(new FollowedRun(driver, jobId, present), key, cache, options);
  } catch (error) {
    // The older incarnation may come to its end, and remove the job.
    if (!isStoreError(error, 'NOT_FOUND') || (await findRun(driver, jobId, options)) !== undefined) throw error;
  }
}

async function clearLeftovers(
  driver: Driver,
  run: RunDirectory,
  catalog: Catalog,
  options: OperationOptions,
): Promise<void> {
  // While something is damaged its packs stay: whoever repairs the store may need them.
  const garbage = unreferenced(catalog.entries, catalog.manifests);
  const safe = catalog.damaged.length === 0 ? garbage : garbage.filter(isTemporary);
  try {
    for (const name of safe) await run.remove(name, options);
    await sweepRoot(driver, run.jobId, options);
  } catch (error) {
    if (isStoreError(error, 'FENCED') || options.signal?.aborted) throw error;
    // Leftovers cost space, nothing else; the next claim tries again.
  }
}

export class JobClaim implements Claim {
  readonly jobId: string;
  readonly epoch: number;
  /** Checkpoints that were found unreadable at the claim, newest first; one error each, naming the object. */
  readonly damaged: readonly StoreError[];
  readonly #context: ClaimContext;
  readonly #run: RunDirectory;
  readonly #life: string;
  #manifests: Catalog['manifests'];
  #lastSequence: number;
  #queue: Promise<unknown> = Promise.resolve();
  #isClosed = false;

  constructor(context: ClaimContext, run: RunDirectory, catalog: Catalog, life: string) {
    this.jobId = run.jobId;
    this.epoch = run.epoch;
    this.damaged = catalog.damaged;
    this.#context = context;
    this.#run = run;
    this.#life = life;
    this.#manifests = catalog.manifests;
    this.#lastSequence = catalog.lastSequence;
  }

  async checkpoints(options: OperationOptions = {}): Promise<readonly CheckpointSummary[]> {
    await this.check(options);
    return this.#manifests.flatMap((manifest) =>
      manifest.finished === undefined && manifest.record !== undefined ? [summarise(manifest, manifest.record)] : [],
    );
  }

  async open(sequence: number, options: OperationOptions = {}): Promise<StoredCheckpoint> {
    await this.check(options);
    const manifest = this.#manifests.find((candidate) => candidate.sequence === sequence);
    if (manifest?.record === undefined) throw notFound(`checkpoint ${sequence} of job ${JSON.stringify(this.jobId)}`);
    return new ManifestReader(this.#run, manifest, this.#context.key, manifest.record);
  }

  async write(request: WriteRequest, options: OperationOptions = {}): Promise<CheckpointSummary> {
    const record = request.record;
    const source: WriteSource = { ...request, facts: () => ({ record: record() }) };
    return await this.#store(source, options);
  }

  async finish(finished: FinishedRecord, files: readonly FileEntry[], options: OperationOptions = {}): Promise<void> {
    const source: WriteSource = {
      contextFd: undefined,
      complete: Promise.resolve(),
      files: async () => files,
      facts: () => ({ finished, record: this.#manifests[0]?.record }),
    };
    await this.#store(source, options);
  }

  async finished(
    options: OperationOptions = {},
  ): Promise<(FinishedRecord & { readonly stored: StoredCheckpoint }) | undefined> {
    await this.check(options);
    const newest = this.#manifests[0];
    if (newest?.finished === undefined) return undefined;
    const record = newest.record ?? unknownRecord(newest.finished.scratch);
    return { ...newest.finished, stored: new ManifestReader(this.#run, newest, this.#context.key, record) };
  }

  async retain(keep: number, options: OperationOptions = {}): Promise<void> {
    if (!Number.isSafeInteger(keep) || keep < 1) throw badArgument(`cannot keep ${keep} checkpoints; keep at least 1`);
    await this.#exclusively(async () => {
      const kept = keptManifests(this.#manifests, keep);
      const garbage = unreferenced(await this.#run.list(options), kept);
      // Manifests sort before packs: a crash in between leaves packs without a manifest, never the other way round.
      for (const name of garbage.sort()) await this.#run.remove(name, options);
      this.#manifests = kept;
    });
  }

  async check(options: OperationOptions = {}): Promise<void> {
    if (this.#isClosed) throw closed(`the claim of job ${JSON.stringify(this.jobId)}`);
    options.signal?.throwIfAborted();
    await this.#run.check(options);
  }

  async remove(options: OperationOptions = {}): Promise<void> {
    await this.#exclusively(async () => {
      await this.check(options);
      await removeJob(this.#context.driver, this.jobId, options);
    });
  }

  /** Waits for what is under way. The job stays claimed until another incarnation claims it. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    await this.#queue;
  }

  async #store(source: WriteSource, options: OperationOptions): Promise<CheckpointSummary> {
    return await this.#exclusively(async () => {
      const sequence = this.#lastSequence + 1;
      const { key, codec, packBytes = MAX_PACK } = this.#context;
      const context = { run: this.#run, key, life: this.#life, codec, packBytes, manifests: this.#manifests, sequence };
      const manifest = await writeManifest(context, source, options);
      this.#lastSequence = sequence;
      this.#manifests = [manifest, ...this.#manifests];
      return summarise(manifest, manifest.record ?? unknownRecord(manifest.finished?.scratch ?? ''));
    });
  }

  /** One change at a time: a retain between a write's packs and its manifest would take them for leftovers. */
  #exclusively<T>(change: () => Promise<T>): Promise<T> {
    const result = this.#queue.then(change);
    this.#queue = result.catch(() => undefined);
    return result;
  }
}
