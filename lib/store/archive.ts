/**
 * A directory store as one file, for those who carry files and no directories. A line with the format, then for each file a line with length and
 * name followed by its bytes, then a line that says that this was all.
 */

import { createReadStream, createWriteStream } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { corrupt } from './store-error.ts';

const FORMAT = 'blcr-archive 1';
const END = 'end';
const LONGEST_LINE = 4096;
const SLICE = 1024 * 1024;

/** Writes all files below `directory`; `file` is there when it is complete, and not before. */
export async function packDirectory(directory: string, file: string): Promise<void> {
  const temporary = `${file}.tmp`;
  await rm(temporary, { force: true });
  await pipeline(archiveOf(directory), createWriteStream(temporary, { mode: 0o600 }));
  await rename(temporary, file);
}

async function* archiveOf(directory: string): AsyncGenerator<Uint8Array | string, void, undefined> {
  yield `${FORMAT}\n`;
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  for (const entry of entries.filter((candidate) => candidate.isFile())) {
    const path = join(entry.parentPath ?? entry.path, entry.name);
    yield `${(await stat(path)).size} ${relative(directory, path)}\n`;
    yield* createReadStream(path, { highWaterMark: SLICE });
  }
  yield `${END}\n`;
}

/**
 * Makes `directory` of what packDirectory has written. Nothing is there unless all of it is.
 * @throws {StoreError} ERR_STORE_CORRUPT.
 */
export async function unpackDirectory(file: string, directory: string): Promise<void> {
  const temporary = `${directory}.tmp`;
  await rm(temporary, { recursive: true, force: true });
  await mkdir(temporary, { recursive: true, mode: 0o700 });
  const source = await open(file, 'r');
  try {
    await unpack(new LineReader(source, file), temporary);
  } finally {
    await source.close();
  }
  await rename(temporary, directory);
}

async function unpack(reader: LineReader, directory: string): Promise<void> {
  if ((await reader.line()) !== FORMAT) throw reader.error('it is no archive');
  for (let line = await reader.line(); line !== END; line = await reader.line()) {
    const [, size = '', name = ''] = /^(\d{1,15}) (.+)$/.exec(line) ?? [];
    if (size === '' || name.split('/').some((part) => part === '' || part === '.' || part === '..'))
      throw reader.error(`it has the line ${JSON.stringify(line)}`);
    const path = join(directory, name);
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    await pipeline(reader.bytes(Number(size)), createWriteStream(path, { flags: 'wx', mode: 0o600 }));
  }
}

class LineReader {
  readonly #source: FileHandle;
  readonly #path: string;
  #position = 0;

  constructor(source: FileHandle, path: string) {
    this.#source = source;
    this.#path = path;
  }

  error(why: string): Error {
    return corrupt(this.#path, why);
  }

  async line(): Promise<string> {
    const { buffer, bytesRead } = await this.#source.read(Buffer.alloc(LONGEST_LINE), 0, LONGEST_LINE, this.#position);
    const end = buffer.subarray(0, bytesRead).indexOf('\n');
    if (end < 0) throw this.error('it ends too early');
    this.#position += end + 1;
    return buffer.toString('utf8', 0, end);
  }

  async *bytes(count: number): AsyncGenerator<Uint8Array, void, undefined> {
    for (let rest = count; rest > 0; ) {
      const block = Buffer.alloc(Math.min(SLICE, rest));
      const { bytesRead } = await this.#source.read(block, 0, block.length, this.#position);
      if (bytesRead === 0) throw this.error('it ends too early');
      this.#position += bytesRead;
      rest -= bytesRead;
      yield block.subarray(0, bytesRead);
    }
  }
}
