/**
 * Names of everything in a store:
 *
 *     job-<id, percent-encoded>/run-<epoch>-<random>/pack-<epoch>-<random>[.n]  unit contents; `.n` after n failed tries to store it
 *                                                    ckpt-<sequence>-<epoch>    manifest of one checkpoint
 *                                                    done-<sequence>-<epoch>    manifest of a finished record
 *                                                    head                       newest sequence, sealed (only with a key)
 *                                                    tmp-<random>               an upload under way
 *     new-<random>/ trash-<random>/                                             a job being created or removed
 *
 * The random part of `run-` makes the path of an incarnation unique for ever, also when a job is removed and begun again with epoch 1.
 */
import { randomBytes } from 'node:crypto';
import { badArgument } from './store-error.ts';

const MAX_ENCODED = 230;

export function randomName(prefix: 'new' | 'trash' | 'tmp'): string {
  return `${prefix}-${randomBytes(12).toString('hex')}`;
}

/** @throws {StoreError} ERR_STORE_ARGUMENT for an id that no directory can be named after. */
export function jobDirectory(jobId: string): string {
  if (jobId === '' || jobId === '.' || jobId === '..')
    throw badArgument(`job id ${JSON.stringify(jobId)} is not allowed`);
  let encoded: string;
  try {
    encoded = encodeURIComponent(jobId);
  } catch {
    throw badArgument(`job id ${JSON.stringify(jobId)} is not valid Unicode`);
  }
  if (encoded.length > MAX_ENCODED)
    throw badArgument(`job id is too long: ${encoded.length} of ${MAX_ENCODED} characters when encoded`);
  return `job-${encoded}`;
}

/** The id behind a directory name, undefined for foreign names. */
export function jobIdOf(directory: string): string | undefined {
  if (!directory.startsWith('job-')) return undefined;
  try {
    const id = decodeURIComponent(directory.slice(4));
    return jobDirectory(id) === directory ? id : undefined;
  } catch {
    return undefined;
  }
}

export function runName(epoch: number): string {
  return `run-${epoch}-${randomBytes(8).toString('hex')}`;
}

export function epochOfRun(name: string): number | undefined {
  const match = /^run-([1-9]\d{0,14})-[0-9a-f]{16}$/.exec(name);
  return match === null ? undefined : Number(match[1]);
}

/** Names a new pack; its 16 random bytes are also the salt of its key. */
export function packName(epoch: number): string {
  return `pack-${epoch}-${randomBytes(16).toString('hex')}`;
}

export function isPackName(name: string): boolean {
  return /^pack-[1-9]\d{0,14}-[0-9a-f]{32}(\.[1-9]\d?)?$/.test(name);
}

/**
 * What a pack is stored as by the n-th try, from 0. Every try has a name of its own: a server removes a broken upload when it notices the break,
 * and that may be long after a later try has succeeded.
 */
export function packAttempt(pack: string, attempt: number): string {
  return attempt === 0 ? pack : `${pack}.${attempt}`;
}

/** The name that a pack got first, whichever try has stored it. */
export function packIdentity(name: string): string {
  return name.replace(/\.\d+$/, '');
}

export type ManifestKind = 'checkpoint' | 'finished';

export interface ManifestName {
  readonly name: string;
  readonly kind: ManifestKind;
  readonly sequence: number;
  readonly epoch: number;
}

export function manifestName(kind: ManifestKind, sequence: number, epoch: number): ManifestName {
  return { name: `${kind === 'checkpoint' ? 'ckpt' : 'done'}-${sequence}-${epoch}`, kind, sequence, epoch };
}

export function parseManifestName(name: string): ManifestName | undefined {
  const match = /^(ckpt|done)-([1-9]\d{0,14})-([1-9]\d{0,14})$/.exec(name);
  if (match === null) return undefined;
  return manifestName(match[1] === 'ckpt' ? 'checkpoint' : 'finished', Number(match[2]), Number(match[3]));
}

/**
 * The manifests that make up the job's history, newest first. An incarnation that is being fenced can still publish in the instant of the
 * rename: what it wrote then is not an ancestor of what its successor wrote, and is left out.
 */
export function history(names: readonly ManifestName[]): ManifestName[] {
  const byAge = [...names].sort((a, b) => b.epoch - a.epoch || b.sequence - a.sequence);
  const result: ManifestName[] = [];
  let limit = Number.POSITIVE_INFINITY;
  let epoch = 0;
  let lowest = Number.POSITIVE_INFINITY;
  for (const name of byAge) {
    if (name.epoch !== epoch) limit = lowest;
    epoch = name.epoch;
    if (name.sequence >= limit) continue;
    result.push(name);
    lowest = Math.min(lowest, name.sequence);
  }
  return result;
}
