/**
 * With a key: a sealed note of the newest epoch and sequence, renewed by every claim and after every checkpoint. It makes visible that somebody
 * removed the newest checkpoint or put an old run directory's name back.
 *
 * What it cannot show: a store that answers with a complete older state, head included. An incarnation that starts on a new machine remembers
 * nothing to compare with; who needs that must keep the number of the last checkpoint elsewhere.
 */
import { randomBytes } from 'node:crypto';
import { openObject, type Place, sealObject } from './cipher.ts';
import type { DriverOptions, PutOptions } from './driver.ts';
import { asCount, asObject, asString } from './guards.ts';
import type { ManifestName } from './names.ts';
import type { ObjectSource, RunDirectory } from './run-directory.ts';
import { unauthentic } from './store-error.ts';

const NAME = 'head';
const MAX_HEAD = 4096;

export interface Head {
  /** Drawn when the job is begun, and authenticated with every manifest: those of an earlier job of the same id do not fit in. */
  readonly life: string;
  readonly epoch: number;
  readonly sequence: number;
}

function placeOf(jobId: string): Place {
  return { purpose: 'head', jobId, life: '', epoch: 0, sequence: 0, name: NAME };
}

export function newLife(): string {
  return randomBytes(16).toString('hex');
}

export async function writeHead(run: RunDirectory, key: Uint8Array, head: Head, options?: PutOptions): Promise<void> {
  await run.put(NAME, sealObject(key, placeOf(run.jobId), Buffer.from(JSON.stringify(head))), options);
}

/** @throws {StoreError} ERR_STORE_AUTH when it is missing although there are checkpoints, or was not sealed with this key. */
export async function readHead(
  source: ObjectSource,
  key: Uint8Array,
  size: number | undefined,
  isNeeded: boolean,
  options?: DriverOptions,
): Promise<Head | undefined> {
  const path = source.pathOf(NAME);
  if (size === undefined) {
    if (isNeeded) throw unauthentic(path, 'it is missing, so nothing says which checkpoint is the newest');
    return undefined;
  }
  if (size > MAX_HEAD) throw unauthentic(path, `it has ${size} bytes`);
  const content = openObject(key, placeOf(source.jobId), await source.get(NAME, 0, size, options), path);
  try {
    const json = asObject(JSON.parse(Buffer.from(content).toString()), 'head');
    return {
      life: asString(json['life'], 'life'),
      epoch: asCount(json['epoch'], 'epoch'),
      sequence: asCount(json['sequence'], 'sequence'),
    };
  } catch (cause) {
    throw unauthentic(path, 'its content is not a head', cause);
  }
}

/** @throws {StoreError} ERR_STORE_AUTH when the store shows less than what the head saw. */
export function checkHead(
  head: Head | undefined,
  source: ObjectSource & { readonly epoch?: number },
  names: readonly ManifestName[],
): void {
  if (head === undefined) return;
  const newest = Math.max(0, ...names.map(({ sequence }) => sequence));
  if (newest < head.sequence) {
    throw unauthentic(source.pathOf(NAME), `checkpoint ${head.sequence} was the newest and is gone`);
  }
  if (source.epoch !== undefined && source.epoch < head.epoch) {
    throw unauthentic(source.pathOf(NAME), `incarnation ${head.epoch} existed, and the store shows ${source.epoch}`);
  }
}
