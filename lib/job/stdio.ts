/**
 * The job's standard streams. A regular file as stdout or stderr belongs to the job: its content is part of a checkpoint, and a resumed job
 * goes on writing where its checkpoint left off, also when the file of this incarnation is another one on another machine. Pipes and
 * terminals are this process's own and are left alone.
 */

import {
  closeSync,
  createReadStream,
  fstatSync,
  ftruncateSync,
  openSync,
  readFileSync,
  readlinkSync,
  rmSync,
  type Stats,
  statSync,
  writeSync,
} from 'node:fs';
import { constants, hostname, release } from 'node:os';
import { join } from 'node:path';
import { JobError } from '../errors.ts';
import type { FileEntry, StoredCheckpoint } from '../store/types.ts';
import { errorCode } from '../util/error-facts.ts';
import type { StdioEntry } from './options.ts';
import type { OutputSource } from './scratch.ts';

const ROLES = ['stdout', 'stderr'] as const;
type Role = (typeof ROLES)[number];

/** Facts kept with a checkpoint; member names are part of what stores hold. */
export type StdioFacts = Readonly<Record<string, number | string>>;

interface Output extends OutputSource {
  readonly fd: number;
  /** Where the job's own output begins in the file; what is before it belongs to whoever opened the file. */
  start: number;
}

export class JobStdio implements Disposable {
  readonly fds: readonly [number, number, number];
  readonly #opened: number[];
  readonly #outputs: readonly Output[];
  /** Files that this user may not read: no part of the job, wherever they lie. */
  readonly unreadable: readonly string[];
  /** What a restart will not find as it was, in words. */
  readonly limitations: readonly string[];

  constructor(entries: readonly [StdioEntry, StdioEntry, StdioEntry]) {
    const opened: number[] = [];
    const open = (entry: StdioEntry, own: number): number => {
      if (entry === 'inherit') return own;
      if (typeof entry === 'number') return entry;
      const fd = openSync('/dev/null', own === 0 ? 'r' : 'r+');
      opened.push(fd);
      return fd;
    };
    this.fds = [open(entries[0], 0), open(entries[1], 1), open(entries[2], 2)];
    this.#opened = opened;
    const limitations = isStream(this.fds[0])
      ? ['standard input comes through a pipe: a resumed program reads on from the start of the new one']
      : [];
    const unreadable: string[] = [];
    this.#outputs = findOutputs(this.fds, limitations, unreadable);
    this.unreadable = unreadable;
    this.limitations = limitations;
  }

  /** Files to capture with every checkpoint. */
  get outputs(): readonly OutputSource[] {
    return this.#outputs;
  }

  /** For the record of a checkpoint: which files these are, should the next incarnation meet the same ones. */
  facts(): StdioFacts {
    const facts: Record<string, number | string> = {};
    for (const { role, fd, path, start } of this.#outputs) {
      facts[`${role}Start`] = start;
      facts[`${role}Path`] = path;
      facts[`${role}File`] = fileIdentity(fd);
    }
    return facts;
  }

  /** For an engine that opens regular files as stdio by their old paths: where those of this incarnation are. */
  relocations(facts: StdioFacts | undefined): readonly (readonly [from: string, to: string])[] {
    return this.#outputs.flatMap(({ role, path }) => {
      const before = facts?.[`${role}Path`];
      return typeof before !== 'string' || before === path ? [] : [[before, path] as const];
    });
  }

  /** Gives stdout and stderr the content they had at the checkpoint. `directory` takes a copy in passing. */
  async layOut(stored: StoredCheckpoint, facts: StdioFacts | undefined, directory: string): Promise<void> {
    for (const output of this.#outputs) {
      const entry = stored.files.find(({ role }) => role === output.role);
      if (entry === undefined) continue;
      const start = Number(facts?.[`${output.role}Start`] ?? 0);
      const isSame = facts?.[`${output.role}File`] === fileIdentity(output.fd);
      if (isSame && this.#truncate(output, entry, start)) continue;
      await rewrite(output, stored, start, directory);
    }
  }

  [Symbol.dispose](): void {
    for (const fd of this.#opened.splice(0)) closeSync(fd);
  }

  /** The same file, holding at least what it held then: cutting it is enough. */
  #truncate(output: Output, entry: FileEntry, start: number): boolean {
    const { position, appends } = readPosition(output.fd);
    const { size } = fstatSync(output.fd);
    if (appends) output.start = Math.min(start, size);
    if (size < entry.size || !(appends || position === entry.size)) {
      if (appends) ftruncateSync(output.fd, output.start);
      return false;
    }
    ftruncateSync(output.fd, entry.size);
    output.start = start;
    return true;
  }
}

function findOutputs(fds: JobStdio['fds'], limitations: string[], unreadable: string[]): Output[] {
  const outputs: Output[] = [];
  for (const role of ROLES) {
    const fd = fds[role === 'stdout' ? 1 : 2];
    const stats = statsOf(fd);
    if (stats === undefined || !stats.isFile()) continue;
    const twin = outputs.find((other) => isSameInode(fstatSync(other.fd), stats));
    if (twin !== undefined) continue; // `2>&1`: one file, stored once
    const path = pathOf(fd, role, limitations);
    if (path !== undefined && !isReadable(path)) {
      unreadable.push(path);
      limitations.push(
        `${role} is a file that this user may not read (${path}): what the job writes there is not stored`,
      );
    } else if (path !== undefined) outputs.push({ role, fd, path, start: startOf(fd, stats.size) });
  }
  return outputs;
}

/** What has come through is gone: no restart can have it again. A regular file is opened where the program was. */
function isStream(fd: number): boolean {
  const stats = statsOf(fd);
  return stats !== undefined && (stats.isFIFO() || stats.isSocket());
}

function statsOf(fd: number): Stats | undefined {
  try {
    return fstatSync(fd);
  } catch {
    return undefined; // closed: the program gets none either
  }
}

const isSameInode = (
  one: { readonly dev: number; readonly ino: number },
  other: { readonly dev: number; readonly ino: number },
): boolean => one.dev === other.dev && one.ino === other.ino;

function pathOf(fd: number, role: Role, limitations: string[]): string | undefined {
  const path = readlinkSync(`/proc/self/fd/${fd}`);
  try {
    if (isSameInode(statSync(path), fstatSync(fd))) return path;
  } catch (error) {
    if (errorCode(error) === 'EACCES') return path; // below a directory of somebody else's
    // falls through: the name leads nowhere any more
  }
  limitations.push(`${role} is a file without a name any more (${path}): what the job writes there is not stored`);
  return undefined;
}

/** Who has opened it for this user may have kept it from being read. */
function isReadable(path: string): boolean {
  try {
    closeSync(openSync(path, 'r'));
    return true;
  } catch {
    return false;
  }
}

function startOf(fd: number, size: number): number {
  const { position, appends } = readPosition(fd);
  return appends ? size : position;
}

/** Source: proc(5), /proc/PID/fdinfo: `pos` is decimal, `flags` octal. */
function readPosition(fd: number): { position: number; appends: boolean } {
  const text = readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1');
  const position = /^pos:\s*(\d+)/m.exec(text)?.[1];
  const flags = /^flags:\s*([0-7]+)/m.exec(text)?.[1];
  return { position: Number(position ?? 0), appends: (Number.parseInt(flags ?? '0', 8) & O_APPEND) !== 0 };
}

/** Source: asm-generic/fcntl.h; the value that fdinfo shows is the kernel's, which x86-64 and arm64 share. */
const O_APPEND = 0o2000;

/**
 * Equal for the same file only: inode numbers are used again, times of birth are not. Kernels before 4.11 do not tell them; Node then says the
 * time of the last change, which would make every file another one as soon as it is written. Source: statx(2); libuv, uv__fs_stat.
 */
function fileIdentity(fd: number): string {
  const { dev, ino, birthtimeNs } = fstatSync(fd, { bigint: true });
  return `${hostname()}:${dev}:${ino}:${KNOWS_BIRTH ? birthtimeNs : 0n}`;
}

const [MAJOR = 0, MINOR = 0] = release().split('.').map(Number);
const KNOWS_BIRTH = MAJOR > 4 || (MAJOR === 4 && MINOR >= 11);

/** Writes the stored output, from where the job's own part begins, to where this incarnation's file stands now. */
async function rewrite(output: Output, stored: StoredCheckpoint, start: number, directory: string): Promise<void> {
  const copy = join(directory, `${output.role}.stored`);
  const fd = openSync(copy, 'w', 0o600);
  try {
    await stored.readRole(output.role, fd);
    const { position, appends } = readPosition(output.fd);
    output.start = appends ? fstatSync(output.fd).size : position;
    if (!appends) ftruncateSync(output.fd, position);
    for await (const chunk of createReadStream(copy, { start, highWaterMark: 1 << 20 }))
      writeAll(output, chunk as Buffer);
  } finally {
    closeSync(fd);
    rmSync(copy, { force: true });
  }
}

/** At the descriptor's own position, which the program shares and goes on from. */
function writeAll(output: Output, chunk: Buffer): void {
  for (let done = 0; done < chunk.length; ) {
    try {
      done += writeSync(output.fd, chunk, done);
    } catch (cause) {
      const isFull = cause instanceof Error && 'errno' in cause && cause.errno === -constants.errno.ENOSPC;
      throw new JobError(
        `The job's ${output.role} could not be laid out again: ${isFull ? 'the disk is full' : cause}`,
        {
          code: 'ERR_JOB_OUTPUT',
          exitCode: 75,
          cause,
        },
      );
    }
  }
}
