/** Read-only looks at jobs, without claiming them. */
import { type Catalog, type ManifestCache, readCatalog } from './catalog.ts';
import type { Driver, Entry } from './driver.ts';
import { findRun } from './fence.ts';
import { history, jobIdOf, parseManifestName } from './names.ts';
import { FollowedRun } from './run-directory.ts';
import { isStoreError, notFound } from './store-error.ts';
import { ManifestReader, summarise } from './stored-checkpoint.ts';
import type { CheckpointSummary, JobSummary, JobView, OperationOptions, StoredCheckpoint } from './types.ts';

export async function listJobs(driver: Driver, options: OperationOptions): Promise<readonly JobSummary[]> {
  const summaries: JobSummary[] = [];
  for (const { name } of (await driver.list('', options)) ?? []) {
    const id = jobIdOf(name);
    const summary = id === undefined ? undefined : await summariseJob(driver, id, options);
    if (summary !== undefined) summaries.push(summary);
  }
  return summaries.sort((a, b) => (a.id < b.id ? -1 : 1));
}

export async function inspectJob(
  driver: Driver,
  key: Uint8Array | undefined,
  jobId: string,
  options: OperationOptions,
): Promise<JobView | undefined> {
  const summary = await summariseJob(driver, jobId, options);
  const run = await findRun(driver, jobId, options);
  if (summary === undefined || run === undefined) return undefined;
  return new InspectedJob(summary, new FollowedRun(driver, jobId, run), key);
}

async function summariseJob(driver: Driver, id: string, options: OperationOptions): Promise<JobSummary | undefined> {
  try {
    const run = await findRun(driver, id, options);
    if (run === undefined) return undefined;
    const source = new FollowedRun(driver, id, run);
    const entries = await source.list(options);
    return toSummary(id, source.epoch, entries);
  } catch (error) {
    if (isStoreError(error, 'NOT_FOUND')) return undefined;
    throw error;
  }
}

/** Out of the names alone: no key is needed to see what a store holds. */
function toSummary(id: string, epoch: number, entries: readonly Entry[]): JobSummary {
  const names = history(entries.map(({ name }) => parseManifestName(name)).filter((name) => name !== undefined));
  const checkpoints = names.filter(({ kind }) => kind === 'checkpoint');
  return {
    id,
    epoch,
    checkpoints: checkpoints.length,
    newest: checkpoints[0]?.sequence,
    bytes: entries.reduce((sum, { size, isDirectory }) => sum + (isDirectory ? 0 : size), 0),
    finished: names[0]?.kind === 'finished',
  };
}

class InspectedJob implements JobView {
  readonly summary: JobSummary;
  readonly #source: FollowedRun;
  readonly #key: Uint8Array | undefined;
  readonly #cache: ManifestCache = new Map();

  constructor(summary: JobSummary, source: FollowedRun, key: Uint8Array | undefined) {
    this.summary = summary;
    this.#source = source;
    this.#key = key;
  }

  async checkpoints(options: OperationOptions = {}): Promise<readonly CheckpointSummary[]> {
    const { manifests } = await this.#catalog(options);
    return manifests.flatMap((manifest) =>
      manifest.finished === undefined && manifest.record !== undefined ? [summarise(manifest, manifest.record)] : [],
    );
  }

  async open(sequence: number, options: OperationOptions = {}): Promise<StoredCheckpoint> {
    const { manifests } = await this.#catalog(options);
    const manifest = manifests.find((candidate) => candidate.sequence === sequence);
    if (manifest?.record === undefined)
      throw notFound(`checkpoint ${sequence} of job ${JSON.stringify(this.summary.id)}`);
    return new ManifestReader(this.#source, manifest, this.#key, manifest.record);
  }

  async #catalog(options: OperationOptions): Promise<Catalog> {
    return await readCatalog(this.#source, this.#key, this.#cache, options);
  }
}
