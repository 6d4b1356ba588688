/** What a run directory contains: manifests that are whole, what is damaged, and what nobody refers to. */
import type { StoreError } from '../errors.ts';
import { isSealed, openObject } from './cipher.ts';
import type { DriverOptions, Entry } from './driver.ts';
import { checkHead, readHead } from './head.ts';
import { decodeManifest, type Manifest } from './manifest.ts';
import { history, isPackName, type ManifestName, parseManifestName } from './names.ts';
import type { ObjectSource } from './run-directory.ts';
import { corrupt, isStoreError, unauthentic } from './store-error.ts';

const MAX_MANIFEST = 2 ** 31;
/** Times that a directory whose objects vanish is listed: each one means that another checkpoint was stored meanwhile. */
const LOOKS = 10;

export interface Catalog {
  /** Every object at the time of reading. */
  readonly entries: readonly Entry[];
  /** Complete checkpoints and finished records, newest first. */
  readonly manifests: readonly Manifest[];
  /** One error per manifest that is unreadable or misses packs, newest first. */
  readonly damaged: readonly StoreError[];
  /** Of the sealed head; undefined without a key or before the first head. */
  readonly life: string | undefined;
  /** Highest sequence ever seen, readable or not. */
  readonly lastSequence: number;
}

/** Manifests that were read before, by object name: one is never written twice under the same name. */
export type ManifestCache = Map<string, Manifest>;

/**
 * Reads all manifests of a run directory.
 * @param key The job's key (cipher.ts).
 * @throws {StoreError} ERR_STORE_AUTH when the newest checkpoint has been taken away; ERR_STORE_VERSION for objects of a newer release; the
 *   first damage when nothing at all is readable.
 */
export async function readCatalog(
  source: ObjectSource,
  key: Uint8Array | undefined,
  cache: ManifestCache,
  options?: DriverOptions,
): Promise<Catalog> {
  for (let look = 1; ; look++) {
    try {
      return await readListed(source, key, cache, options);
    } catch (error) {
      // Who runs the job has removed a listed checkpoint that need not be kept any more; nobody else does.
      if (!isStoreError(error, 'NOT_FOUND') || look === LOOKS) throw error;
    }
  }
}

async function readListed(
  source: ObjectSource,
  key: Uint8Array | undefined,
  cache: ManifestCache,
  options?: DriverOptions,
): Promise<Catalog> {
  const entries = await source.list(options);
  const sizes = new Map(entries.map(({ name, size }) => [name, size]));
  const names = entries.map(({ name }) => parseManifestName(name)).filter((name) => name !== undefined);
  const head =
    key === undefined ? undefined : await readHead(source, key, sizes.get('head'), names.length > 0, options);
  checkHead(head, source, names);
  const manifests: Manifest[] = [];
  const damaged: StoreError[] = [];
  for (const name of history(names)) {
    try {
      const manifest =
        cache.get(name.name) ??
        (await readManifest(source, key, head?.life ?? '', name, sizes.get(name.name) ?? 0, options));
      cache.set(name.name, manifest);
      checkPacks(source, key, manifest, sizes);
      manifests.push(manifest);
    } catch (error) {
      if (!isStoreError(error, 'CORRUPT', 'AUTH')) throw error;
      damaged.push(error);
    }
  }
  if (manifests.length === 0 && damaged[0] !== undefined) throw damaged[0];
  const lastSequence = Math.max(0, head?.sequence ?? 0, ...names.map(({ sequence }) => sequence));
  return { entries, manifests, damaged, life: head?.life, lastSequence };
}

async function readManifest(
  source: ObjectSource,
  key: Uint8Array | undefined,
  life: string,
  name: ManifestName,
  size: number,
  options?: DriverOptions,
): Promise<Manifest> {
  const path = source.pathOf(name.name);
  if (size > MAX_MANIFEST) throw corrupt(path, `a manifest of ${size} bytes is impossible`);
  const object = await source.get(name.name, 0, size, options);
  if (key === undefined) {
    if (isSealed(object)) throw unauthentic(path, 'it is sealed and no key was given');
    return decodeManifest(object, path, source.jobId, name);
  }
  const { epoch, sequence } = name;
  const place = { purpose: 'manifest', jobId: source.jobId, life, epoch, sequence, name: name.name } as const;
  return decodeManifest(openObject(key, place, object, path), path, source.jobId, name);
}

function checkPacks(
  source: ObjectSource,
  key: Uint8Array | undefined,
  manifest: Manifest,
  sizes: ReadonlyMap<string, number>,
): void {
  for (const pack of manifest.packs) {
    const size = sizes.get(pack.name);
    if (size === pack.size) continue;
    const why = size === undefined ? 'it is missing' : `it has ${size} instead of ${pack.size} bytes`;
    throw (key === undefined ? corrupt : unauthentic)(source.pathOf(pack.name), why);
  }
}

/** Objects of the store's own that neither a manifest of `kept` nor the store itself needs. Foreign names are left alone. */
export function unreferenced(entries: readonly Entry[], kept: readonly Manifest[]): string[] {
  const packs = new Set(kept.flatMap((manifest) => manifest.packs.map(({ name }) => name)));
  const manifests = new Set(kept.map(({ epoch, sequence }) => `${sequence}-${epoch}`));
  return entries
    .map(({ name }) => name)
    .filter((name) => {
      const parsed = parseManifestName(name);
      if (parsed !== undefined) return !manifests.has(`${parsed.sequence}-${parsed.epoch}`);
      return isTemporary(name) || (isPackName(name) && !packs.has(name));
    });
}

/** An upload that was interrupted: the directory driver's names, and those of the Chirp client. */
export function isTemporary(name: string): boolean {
  return /^(tmp-[0-9a-f]{24}|\.put-[0-9a-f]{16})$/.test(name);
}
