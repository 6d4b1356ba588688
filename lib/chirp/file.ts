/** ChirpFile: an open file on the server that survives the loss of the connection. */

import { ChirpError, UsageError } from '../errors.ts';
import type { Command } from './commands/command.ts';
import { close, fchmod, fstat, fsync, ftruncate, type Opened, open, pread, pwrite } from './commands/file.ts';
import type { Connection } from './connection.ts';
import type { Link } from './link.ts';
import type { ChirpPath, ChirpStat, RequestOptions } from './types.ts';
import { MAX_BLOCK } from './wire/limits.ts';
import { displayPath, type PathRules } from './wire/path.ts';

export async function openFile(
  link: Link,
  path: ChirpPath,
  flags: string,
  mode: number,
  rules: PathRules,
  options?: RequestOptions,
): Promise<ChirpFile> {
  const command = open(path, flags, mode, rules);
  const { connection, opened } = await link.perform(
    'open',
    async (connection, signal) => ({ connection, opened: await connection.request(command, signal) }),
    options,
  );
  // Opened again, the file must be neither created nor truncated.
  const again = open(path, flags.replace(/[ctx]/g, '') || 'r', mode, rules);
  return new ChirpFile(link, displayPath(path), flags, again, connection, opened);
}

/**
 * An open file. Methods may be called concurrently and take effect in that order as long as the connection holds. After a lost connection the file is opened again by its name;
 * when that leads to another file by then, methods fail with ChirpError `ERR_CHIRP_STALE_FILE`. Other errors as for ChirpClient.
 */
export class ChirpFile implements AsyncDisposable {
  readonly path: string;
  /** As it was when the file was opened. */
  readonly openedStat: ChirpStat;
  readonly #link: Link;
  readonly #isAppending: boolean;
  readonly #again: Command<Opened>;
  #connection: Connection;
  #fd: Promise<number>;
  #closed = false;

  constructor(link: Link, path: string, flags: string, again: Command<Opened>, connection: Connection, opened: Opened) {
    this.path = path;
    this.openedStat = opened.stat;
    this.#link = link;
    this.#isAppending = flags.includes('a');
    this.#again = again;
    this.#connection = connection;
    this.#fd = Promise.resolve(opened.fd);
  }

  /**
   * Reads up to `length` bytes from `offset`; fewer only at the end of the file.
   * @param length Bytes; any size, moved in requests of 16 MiB.
   */
  async pread(length: number, offset: number, options?: RequestOptions): Promise<Buffer> {
    if (!Number.isSafeInteger(length) || length < 0) throw new UsageError(`chirp pread: ${length} is not a length`);
    const target = Buffer.allocUnsafe(length);
    let done = 0;
    while (done < length) {
      const block = target.subarray(done, done + MAX_BLOCK);
      const at = offset + done;
      const count = await this.#run('pread', (fd) => pread(fd, block, at, this.path), options);
      if (count === 0) break;
      done += count;
    }
    return target.subarray(0, done);
  }

  /** Writes all of `data` at `offset` (at the end, when opened with `a`: then it is not repeated after a lost connection). `data` must not change until the promise settles. */
  async pwrite(data: Uint8Array, offset: number, options?: RequestOptions): Promise<void> {
    for (let done = 0; done < data.length; ) {
      const block = data.subarray(done, done + MAX_BLOCK);
      const at = offset + done;
      done += await this.#run('pwrite', (fd) => pwrite(fd, block, at, this.path, !this.#isAppending), options);
    }
  }

  stat(options?: RequestOptions): Promise<ChirpStat> {
    return this.#run('fstat', (fd) => fstat(fd, this.path), options);
  }

  /** Brings what was written to the server's disk. */
  sync(options?: RequestOptions): Promise<void> {
    return this.#run('fsync', (fd) => fsync(fd, this.path), options);
  }

  truncate(size: number, options?: RequestOptions): Promise<void> {
    return this.#run('ftruncate', (fd) => ftruncate(fd, size, this.path), options);
  }

  chmod(mode: number, options?: RequestOptions): Promise<void> {
    return this.#run('fchmod', (fd) => fchmod(fd, mode, this.path), options);
  }

  /** Closes the file. Idempotent; a file whose connection is gone is closed already. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    // The server closes everything of a connection that ends; a file that could not be opened again is not open.
    const fd = await this.#fd.catch(() => undefined);
    if (fd === undefined || !this.#connection.isUsable) return;
    try {
      await this.#connection.request(close(fd, this.path));
    } catch (error) {
      if (this.#connection.isUsable) throw error;
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #run<T>(name: string, command: (fd: number) => Command<T>, options?: RequestOptions): Promise<T> {
    if (this.#closed)
      return Promise.reject(new UsageError(`chirp ${name}: ${this.path} is closed`, { code: 'ERR_CHIRP_FILE_CLOSED' }));
    return this.#link.perform(
      name,
      async (connection, signal) => connection.request(command(await this.#descriptorOn(connection)), signal),
      options,
    );
  }

  /** The file's number on this connection; on a new one it is opened again, once for all who ask. */
  #descriptorOn(connection: Connection): Promise<number> {
    if (connection !== this.#connection) {
      this.#connection = connection;
      this.#fd = connection.request(this.#again).then((opened) => this.#checkSame(opened));
      // Whoever asked gets the failure; it must not count as unhandled meanwhile.
      this.#fd.catch(() => undefined);
    }
    return this.#fd;
  }

  #checkSame(opened: Opened): number {
    const { dev, ino } = this.openedStat;
    if (opened.stat.dev === dev && opened.stat.ino === ino) return opened.fd;
    throw new ChirpError(`chirp: ${this.path} is another file since the connection was lost`, {
      code: 'ERR_CHIRP_STALE_FILE',
      command: 'open',
      result: opened.fd,
      path: this.path,
    });
  }
}
