/** The files of a job: what is captured with a checkpoint, and what the store is told about it. */

import { mkdir, readFile, readlink, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { CaptureOptions } from '../checkpoint/types.ts';
import { isSandboxFile } from '../condor/sandbox.ts';
import { JobError } from '../errors.ts';
import type { FileEntry } from '../store/types.ts';
import { apartBelow, OWN_DIRECTORY, refuseJobBelow, signDirectory, takeDirectory } from './scratch-owner.ts';
import { isSettled } from './settled.ts';
import { formatBaseline, isSameFile, parseIndex, type TreeFile, walkTree } from './tree.ts';

export interface OutputSource {
  readonly role: 'stdout' | 'stderr';
  readonly path: string;
}

/** One checkpoint's files. */
export interface Capture {
  /** For the engine; undefined when there is nothing to capture. */
  readonly options: CaptureOptions | undefined;
  /** Once the engine is done: what the store shall keep. */
  entries(): Promise<readonly FileEntry[]>;
  /** The checkpoint is stored: the next one sends only what changes from here on. */
  commit(): Promise<void>;
  /** Removes the copies. */
  discard(): Promise<void>;
}

export class ScratchFiles {
  readonly root: string;
  /** Scratch directories of earlier incarnations, oldest first, by which the program may still know its files. */
  earlier: readonly string[] = [];
  /** Jobs that may be running on other hosts in the same directory. */
  sharedWith: readonly string[] = [];
  /** Holds this incarnation's copies; named after its process, so that the next one can tell that it is left over. */
  readonly #own: string;
  readonly #id: string;
  readonly #files: 'changed' | 'all' | 'none';
  readonly #outputs: readonly OutputSource[];
  /** What is not the job's, with everything below it: relative to the root. */
  readonly #apart: readonly string[];
  #baseline: readonly TreeFile[] = [];
  #stored: ReadonlyMap<string, FileEntry> = new Map();
  #count = 0;
  #listedAt = 0n;

  private constructor(
    root: string,
    files: 'changed' | 'all' | 'none',
    outputs: readonly OutputSource[],
    apart: readonly string[],
    id: string,
  ) {
    this.root = root;
    this.#id = id;
    this.#files = files;
    this.#outputs = outputs;
    this.#apart = apartBelow(root, apart);
    this.#own = join(root, OWN_DIRECTORY, `run-${process.pid}-${Date.now().toString(36)}`);
  }

  /**
   * Makes room for copies below `root` and removes what dead incarnations left there.
   * @throws {UsageError} ERR_JOB_SHARED when another job has the directory.
   */
  static async open(
    root: string,
    files: 'changed' | 'all' | 'none',
    outputs: readonly OutputSource[],
    apart: readonly string[] = [],
    id = '',
  ): Promise<ScratchFiles> {
    const scratch = new ScratchFiles(root, files, outputs, apart, id);
    scratch.sharedWith = await takeDirectory(root, id, files !== 'none');
    await mkdir(scratch.#own, { recursive: true, mode: 0o700 });
    await signDirectory(scratch.#own, id, files !== 'none');
    return scratch;
  }

  /**
   * The files that are there before the program (or the checkpoint it goes on from) is: its inputs.
   * @throws {UsageError} ERR_JOB_SHARED when another job runs in a directory below: this one would put back its files.
   */
  async listInputs(): Promise<readonly TreeFile[]> {
    this.#listedAt = await this.#timeHere();
    const inputs = await this.#list();
    for (const { path } of inputs)
      if (path.endsWith(`/${OWN_DIRECTORY}`)) await refuseJobBelow(join(this.root, dirname(path)), this.#id);
    return inputs;
  }

  /** Inputs stay out of checkpoints until they change, unless all files are wanted or the checkpoint resumed from carried them. */
  setInputs(inputs: readonly TreeFile[], carried: readonly FileEntry[] = []): void {
    if (this.#files !== 'changed') return;
    const stored = new Set(carried.map(({ path }) => path));
    this.#baseline = inputs.filter((file) => isSettled(file, this.#listedAt) && !stored.has(file.path));
  }

  async prepareCapture(): Promise<Capture> {
    const directory = join(this.#own, `capture-${++this.#count}`);
    const into = join(directory, 'files');
    const baseline = join(directory, 'baseline');
    const since = await this.#timeHere();
    const isEmpty = this.#files === 'none' && this.#outputs.length === 0;
    if (!isEmpty) await mkdir(into, { recursive: true, mode: 0o700 });
    if (!isEmpty) await writeFile(baseline, formatBaseline(this.#baseline, this.#apart));
    let index: readonly TreeFile[] = [];
    let entries: readonly FileEntry[] = [];
    return {
      options: isEmpty ? undefined : await this.#captureOptions(directory, into, baseline),
      entries: async () => {
        if (isEmpty) return [];
        index = parseIndex(await readFile(join(into, '.index'), 'utf8'));
        entries = await this.#describe(index, into);
        return entries;
      },
      commit: async () => {
        // What was not copied is as the baseline has it, which holds settled files only.
        this.#baseline = index.filter((file) => !file.copied || isSettled(file, since));
        this.#stored = new Map(entries.filter(({ role }) => role === 'scratch').map((entry) => [entry.path, entry]));
      },
      discard: () => rm(directory, { recursive: true, force: true }),
    };
  }

  /** The program has ended: its files as they are now. */
  async finalEntries(): Promise<readonly FileEntry[]> {
    const known = new Map(this.#baseline.map((file) => [file.path, file]));
    const all = await this.#list();
    const index = all.map((file) => ({ ...file, copied: !isSameFile(known.get(file.path), file) }));
    const entries = await this.#select(index, this.root);
    const outputs = await Promise.all(this.#outputs.map(({ role, path }) => describeOutput(role, path)));
    return [...entries, ...outputs];
  }

  /** A directory of this incarnation, gone when it is closed. */
  get own(): string {
    return this.#own;
  }

  /** Removes this incarnation's copies. */
  async close(): Promise<void> {
    await rm(this.#own, { recursive: true, force: true });
  }

  async #captureOptions(directory: string, into: string, baseline: string): Promise<CaptureOptions> {
    const nothing = join(directory, 'nothing');
    if (this.#files === 'none') await mkdir(nothing);
    return {
      root: this.#files === 'none' ? nothing : this.root,
      into,
      baseline,
      extra: this.#outputs.map(({ path }) => path),
    };
  }

  async #describe(index: readonly TreeFile[], into: string): Promise<readonly FileEntry[]> {
    const outputs = new Set(this.#outputs.map(({ path }) => path));
    const below = index.filter(({ path }) => !outputs.has(join(this.root, path)));
    const extras = await Promise.all(
      this.#outputs.map(({ role }, number) => describeOutput(role, join(into, `.extra-${number}`))),
    );
    return [...(await this.#select(below, into)), ...extras];
  }

  async #list(): Promise<readonly TreeFile[]> {
    if (this.#files === 'none') return [];
    const outputs = new Set(this.#outputs.map(({ path }) => path));
    const all = await walkTree(this.root, this.#apart);
    return all.filter(({ path }) => !outputs.has(join(this.root, path)));
  }

  /** What the scratch directory's file system has for the time, in nanoseconds: a server's clock may differ from the node's. */
  async #timeHere(): Promise<bigint> {
    await mkdir(this.#own, { recursive: true, mode: 0o700 });
    await utimes(this.#own, 0, 0);
    return (await stat(this.#own, { bigint: true })).ctimeNs;
  }

  /** Copied ones are read from `from`; of the others those that an earlier checkpoint of ours holds are named again. */
  async #select(index: readonly TreeFile[], from: string): Promise<FileEntry[]> {
    const entries: FileEntry[] = [];
    for (const { copied, changedNs: _here, ...file } of index) {
      const { path } = file;
      if (isSandboxFile(path)) continue;
      const before = this.#stored.get(path);
      if (copied) {
        const source = join(from, path);
        const content =
          file.kind === 'symlink' ? { linkTarget: await readlink(source) } : file.kind === 'file' ? { source } : {};
        entries.push({ ...file, role: 'scratch', ...content });
      } else if (before !== undefined) {
        const { source: _read, ...entry } = before;
        entries.push(entry);
      }
    }
    return entries;
  }
}

async function describeOutput(role: 'stdout' | 'stderr', source: string): Promise<FileEntry> {
  try {
    const stats = await stat(source, { bigint: true });
    return {
      path: role,
      role,
      kind: 'file',
      mode: Number(stats.mode & 0o7777n),
      size: Number(stats.size),
      mtimeNs: stats.mtimeNs.toString(),
      inode: Number(stats.ino),
      source,
    };
  } catch (cause) {
    throw new JobError(`The job's ${role} could not be read back: ${source}`, { code: 'ERR_JOB_OUTPUT', cause });
  }
}
