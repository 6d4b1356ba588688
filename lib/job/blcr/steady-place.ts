/**
 * Genuine BLCR restores no mounts, so a new scratch directory cannot take the place of an old one. The program therefore lives in a directory
 * whose path is the same on every node, `/tmp/blcr-<id>`, as under the classic script: the scratch directory's files are copied into it
 * before, and come back when the program has ended.
 */
import { lstat, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { JobError } from '../../errors.ts';
import { EXIT_CODES } from '../exit-status.ts';
import { processIdentity } from '../process-tree.ts';
import { apartBelow, OWN_DIRECTORY } from '../scratch-owner.ts';
import { isSameFile, type TreeFile, walkTree } from '../tree.ts';
import { copyEntry } from './copy.ts';
import { killLeftovers } from './leftovers.ts';

/** In the place: who uses it, as `<pid> <start time>`. */
const OWNER = 'owner';

export class SteadyPlace {
  readonly directory: string;
  readonly #home: string;
  #inputs: ReadonlyMap<string, TreeFile> = new Map();

  private constructor(directory: string, home: string) {
    this.directory = directory;
    this.#home = home;
  }

  /**
   * Makes the place and fills it. What a killed incarnation left there, its processes included, is removed first.
   * @param home The scratch directory that the batch system gave.
   * @param apart Absolute paths of what is none of the job's files.
   * @throws {JobError} `ERR_JOB_NODE` (exit 75) when the path is somebody else's, or an incarnation that lives uses it.
   */
  static async open(
    id: string,
    home: string,
    apart: readonly string[] = [],
    parent: string = '/tmp',
  ): Promise<SteadyPlace> {
    const place = new SteadyPlace(join(parent, `blcr-${id}`), home);
    await place.#clear();
    await mkdir(join(home, OWN_DIRECTORY), { recursive: true, mode: 0o700 }); // for what must outlive the place
    await mkdir(join(place.directory, OWN_DIRECTORY), { recursive: true, mode: 0o700 });
    await writeFile(join(place.directory, OWN_DIRECTORY, OWNER), processIdentity(process.pid) ?? '');
    for (const file of await walkTree(home, apartBelow(home, apart))) await copyEntry(file, home, place.directory);
    const inputs = await walkTree(place.directory, [OWN_DIRECTORY]);
    place.#inputs = new Map(inputs.map((file) => [file.path, file]));
    return place;
  }

  /** A path below the scratch directory as the program sees it; others stay as they are. */
  inside(path: string): string {
    if (path === this.#home) return this.directory;
    return path.startsWith(`${this.#home}/`) ? join(this.directory, path.slice(this.#home.length + 1)) : path;
  }

  /** Brings what the program made or changed to the scratch directory, and takes away there what it removed. */
  async deliver(): Promise<void> {
    const now = await walkTree(this.directory, [OWN_DIRECTORY]);
    const changed = now.filter((file) => !isSameFile(this.#inputs.get(file.path), file));
    const left = new Set(now.map(({ path }) => path));
    for (const path of this.#inputs.keys())
      if (!left.has(path)) await rm(join(this.#home, path), { recursive: true, force: true });
    for (const file of changed) await copyEntry(file, this.directory, this.#home);
  }

  async remove(): Promise<void> {
    await rm(this.directory, { recursive: true, force: true });
  }

  async #clear(): Promise<void> {
    const found = await lstat(this.directory).catch(() => undefined);
    if (found === undefined) return;
    // /tmp is everybody's: a link or another user's directory may be a trap.
    if (!found.isDirectory() || found.uid !== process.getuid?.()) {
      throw unusable(`${this.directory} is not a directory of this user, and the job must run there: remove it`);
    }
    const owner = await readFile(join(this.directory, OWN_DIRECTORY, OWNER), 'latin1').catch(() => '');
    const pid = Number(owner.split(' ')[0]);
    if (pid > 0 && owner === processIdentity(pid)) {
      throw unusable(`process ${pid} runs this job in ${this.directory} already: end it first`);
    }
    await killLeftovers(this.directory);
    await this.remove();
  }
}

const unusable = (message: string): JobError =>
  new JobError(message, { code: 'ERR_JOB_NODE', exitCode: EXIT_CODES.temporary });
