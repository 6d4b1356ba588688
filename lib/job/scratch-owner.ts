/** Whose a scratch directory is: each incarnation has a directory of its own below `.blcr` there, with a note of who it is. */

import { readFileSync, readlinkSync } from 'node:fs';
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { UsageError } from '../errors.ts';
import { processIdentity } from './process-tree.ts';

/** Our own directory below the scratch directory; never part of a checkpoint. */
export const OWN_DIRECTORY = '.blcr';

/** @returns `path` relative to `root`, empty for the root itself; undefined when it is elsewhere. */
export function relativeBelow(root: string, path: string): string | undefined {
  const found = relative(root, path);
  return found === '..' || found.startsWith('../') ? undefined : found;
}

/**
 * What below a job's directory is none of its files, with everything below it: relative to `root`, what is ours there included.
 * @param paths Absolute.
 */
export function apartBelow(root: string, paths: readonly string[]): readonly string[] {
  return [OWN_DIRECTORY, ...paths.map((path) => relativeBelow(root, path) ?? '').filter((path) => path !== '')];
}

const NOTE = 'owner.json';

interface Owner {
  readonly id: string;
  /** Whether it stores files of the directory, and puts them back when it is resumed. */
  readonly hasFiles: boolean;
  readonly host: string;
  /** In what process numbers hold: this boot, this pid namespace. */
  readonly realm: string;
  readonly pid: number;
  /** Its processIdentity: numbers are used again. */
  readonly started: string;
}

function realm(): string {
  return `${readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()} ${readlinkSync('/proc/self/ns/pid')}`;
}

/** Leaves the note of this process's job in `directory`. */
export async function signDirectory(directory: string, id: string, hasFiles: boolean): Promise<void> {
  const owner: Owner = {
    id,
    hasFiles,
    host: hostname(),
    realm: realm(),
    pid: process.pid,
    started: processIdentity(process.pid) ?? '',
  };
  await writeFile(join(directory, NOTE), JSON.stringify(owner), { mode: 0o600 });
}

async function ownerOf(directory: string): Promise<Owner | undefined> {
  try {
    return JSON.parse(await readFile(join(directory, NOTE), 'utf8')) as Owner;
  } catch {
    return undefined;
  }
}

/** Undefined when that cannot be told from here. */
function isRunning(owner: Owner): boolean | undefined {
  if (owner.host !== hostname()) return undefined;
  const here = realm();
  if (owner.realm.split(' ')[0] !== here.split(' ')[0]) return false;
  return owner.realm === here ? processIdentity(owner.pid) === owner.started : undefined;
}

/**
 * Removes what earlier incarnations of this job, and jobs that have ended, left in the directory of ours below `root`.
 * @param hasFiles Whether this job stores files of the directory.
 * @returns Ids of other jobs that may run on other hosts in the same directory.
 * @throws {UsageError} ERR_JOB_SHARED when another job runs here in the same directory, or in one that holds it, and one of the two puts files
 * back when it is resumed: they would be the other's as well.
 */
export async function takeDirectory(root: string, id: string, hasFiles: boolean): Promise<readonly string[]> {
  const elsewhere: string[] = [];
  const own = join(root, OWN_DIRECTORY);
  for (const name of await namesIn(own)) {
    const directory = join(own, name);
    const owner = await ownerOf(directory);
    // One without a note is just being made, or was not finished.
    const state = owner === undefined ? processIdentity(Number(name.split('-')[1])) !== undefined : isRunning(owner);
    if (state === false) await rm(directory, { recursive: true, force: true });
    if (owner === undefined || state === false || owner.id === id || !(hasFiles || owner.hasFiles)) continue;
    if (state === undefined) {
      elsewhere.push(owner.id);
      continue;
    }
    throw shared(`The directory ${root} belongs to the job`, owner);
  }
  for (let above = dirname(root); above !== dirname(above); above = dirname(above)) {
    const owner = await runningIn(above, id);
    if (owner?.hasFiles === true)
      throw shared(`The directory ${root} lies in ${above}, which belongs to the job`, owner);
  }
  return elsewhere;
}

/**
 * @param directory One below the scratch directory of the job `id`, which stores files.
 * @throws {UsageError} ERR_JOB_SHARED when another job runs there.
 */
export async function refuseJobBelow(directory: string, id: string): Promise<void> {
  const owner = await runningIn(directory, id);
  if (owner !== undefined) throw shared(`The directory ${directory}, below this job’s, belongs to the job`, owner);
}

/** A job other than `id` that has a directory and runs on this host. */
async function runningIn(root: string, id: string): Promise<Owner | undefined> {
  for (const name of await namesIn(join(root, OWN_DIRECTORY))) {
    const owner = await ownerOf(join(root, OWN_DIRECTORY, name));
    if (owner !== undefined && owner.id !== id && isRunning(owner) === true) return owner;
  }
  return undefined;
}

const shared = (what: string, { id, pid }: Owner): UsageError =>
  new UsageError(`${what} ${id}, which is running (process ${pid})`, { code: 'ERR_JOB_SHARED' });

async function namesIn(own: string): Promise<readonly string[]> {
  try {
    return (await readdir(own)).filter((name) => /^run-\d+-/.test(name));
  } catch {
    return []; // there is none yet
  }
}
