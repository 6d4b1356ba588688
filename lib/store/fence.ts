/**
 * Fencing without locks. Everything of a job lies in one directory `run-<epoch>-<random>`; an incarnation claims the job by renaming it to the
 * next epoch under a name of its own. From then on no path of the older incarnation exists, so its puts and renames fail.
 *
 * Two claimers at once:
 * 1. both see run-5-a; 2. one renames it to run-6-b; 3. the other's rename of run-5-a fails, it looks again and renames run-6-b to run-7-c,
 * which fences the first. Every number is won by exactly one.
 *
 * A new job is prepared aside (`new-…/run-1-…`) and renamed to its name, which fails when somebody else was first: a job's directory always
 * contains its run directory and can therefore not be replaced by a rename. Removal renames the job away and then deletes it.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { abortLater } from './abort.ts';
import type { Driver, DriverOptions } from './driver.ts';
import { epochOfRun, jobDirectory, randomName, runName } from './names.ts';
import { corrupt, isStoreError, unreachable } from './store-error.ts';

export interface RunPath {
  readonly epoch: number;
  readonly path: string;
}

/** Renames lost to other claimers before giving up: each one means that somebody else got on. */
const MAX_RACES = 100;
/** A directory that is read while an entry in it is renamed may show neither name. Source: readdir(3), POSIX. */
const LOOKS = 5;
const LOOK_AGAIN_MS = 20;
/** Prepared jobs older than this belong to nobody any more. */
const ABANDONED_MS = 3_600_000;
/** An eviction waits no longer for a creation under way, or for what takes it back. */
const CREATION_MS = 2000;

/** The job's current run directory, undefined when the store has no such job. */
export async function findRun(
  driver: Driver,
  jobId: string,
  options: DriverOptions = {},
): Promise<RunPath | undefined> {
  const job = jobDirectory(jobId);
  for (let look = 1; ; look++) {
    options.signal?.throwIfAborted();
    const entries = await driver.list(job, options);
    if (entries === undefined) return undefined;
    const runs = entries.map(({ name }) => ({ epoch: epochOfRun(name) ?? 0, path: `${job}/${name}` }));
    const newest = runs.sort((a, b) => b.epoch - a.epoch)[0];
    if (newest !== undefined && newest.epoch > 0) return newest;
    if (look === LOOKS) throw corrupt(job, 'it contains no run directory');
    await delay(LOOK_AGAIN_MS);
  }
}

/** Takes the job over: afterwards no older incarnation can change anything. */
export async function claimRun(driver: Driver, jobId: string, options: DriverOptions = {}): Promise<RunPath> {
  for (let race = 0; race < MAX_RACES; race++) {
    options.signal?.throwIfAborted();
    const current = await findRun(driver, jobId, options);
    const claimed =
      current === undefined ? await createRun(driver, jobId, options) : await takeOver(driver, jobId, current, options);
    if (claimed !== undefined) return claimed;
  }
  throw unreachable(`job ${JSON.stringify(jobId)}: lost ${MAX_RACES} races against other claimers`);
}

async function takeOver(
  driver: Driver,
  jobId: string,
  current: RunPath,
  options: DriverOptions,
): Promise<RunPath | undefined> {
  const epoch = current.epoch + 1;
  const path = `${jobDirectory(jobId)}/${runName(epoch)}`;
  try {
    await driver.rename(current.path, path, options);
  } catch (error) {
    if (!isStoreError(error, 'NOT_FOUND')) throw error;
    // NFS repeats a rename whose answer was lost, and the repetition finds nothing to rename: the name is ours alone, so it tells.
    if ((await driver.stat(path, options)) === undefined) return undefined;
  }
  return { epoch, path };
}

/**
 * A creation that was begun is ended even if the claim is given up meanwhile: nobody can tell whether a request that was cut off will still
 * be carried out, and the prepared directory would stay.
 */
async function createRun(driver: Driver, jobId: string, given: DriverOptions): Promise<RunPath | undefined> {
  using patience = abortLater(given.signal, CREATION_MS);
  const options = { ...given, signal: patience.signal };
  const job = jobDirectory(jobId);
  const prepared = randomName('new');
  const name = runName(1);
  try {
    await driver.mkdir(prepared, options);
    await driver.mkdir(`${prepared}/${name}`, options);
    await driver.rename(prepared, job, options);
    return { epoch: 1, path: `${job}/${name}` };
  } catch (error) {
    if (isStoreError(error, 'NOT_FOUND') && (await driver.stat(`${job}/${name}`, options)) !== undefined) {
      return { epoch: 1, path: `${job}/${name}` };
    }
    const takeBack = { ...given, signal: AbortSignal.timeout(CREATION_MS) };
    await driver.removeTree(prepared, takeBack).catch(() => undefined);
    if (isStoreError(error, 'EXISTS', 'NOT_FOUND')) return undefined;
    throw error;
  }
}

/** Removes a job; whoever runs it is fenced. False when there was none. */
export async function removeJob(driver: Driver, jobId: string, options: DriverOptions = {}): Promise<boolean> {
  const trash = randomName('trash');
  try {
    await driver.rename(jobDirectory(jobId), trash, options);
  } catch (error) {
    if (!isStoreError(error, 'NOT_FOUND')) throw error;
    if ((await driver.stat(trash, options)) === undefined) return false;
  }
  await driver.removeTree(trash, options);
  return true;
}

/**
 * Deletes what interrupted creations and removals left in the store's root. Its clock is the storage's, as of the claim: a node's own may be
 * hours off, and would take what another node is preparing for abandoned.
 * @param jobId A job that was claimed just now, which has set the date of its directory.
 */
export async function sweepRoot(driver: Driver, jobId: string, options: DriverOptions = {}): Promise<void> {
  const entries = (await driver.list('', options)) ?? [];
  const claimed = entries.find(({ name }) => name === jobDirectory(jobId))?.modified ?? 0;
  for (const { name, modified } of entries) {
    const isAbandoned = /^new-[0-9a-f]{24}$/.test(name) && claimed - modified > ABANDONED_MS;
    if (isAbandoned || /^trash-[0-9a-f]{24}$/.test(name)) await driver.removeTree(name, options);
  }
}
