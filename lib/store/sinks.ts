/** Worker side: the places that decoded bytes go to. */
import { closeSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import { Socket } from 'node:net';
import type { SinkSpec } from './read-protocol.ts';
import { badFile } from './store-error.ts';

export interface Sink {
  /** Keeps the bytes until flush(): they must not change before. */
  write(data: Uint8Array): void;
  zeros(length: number): void;
  flush(): Promise<void>;
  /** Ends the sink after the last flush. */
  close(): Promise<void>;
  /** Ends it in the middle. */
  abandon(): Promise<void>;
  /** The reader of a pipe has gone away: more writing is pointless, and no error. */
  readonly isBroken: boolean;
}

const ZEROS = Buffer.alloc(64 * 1024);

export function openSink(spec: SinkSpec): Sink {
  if (spec.kind === 'stream') return new StreamSink(spec.fd, spec.taken);
  if (spec.kind === 'descriptor') return new FileSink(spec.fd, undefined);
  if (spec.kind === 'nowhere') return new NullSink();
  try {
    return new FileSink(openSync(spec.path, 'wx', 0o600), spec.path);
  } catch (cause) {
    throw badFile(spec.path, 'it cannot be created', cause);
  }
}

class NullSink implements Sink {
  readonly isBroken = false;
  write(): void {}
  zeros(): void {}
  async flush(): Promise<void> {}
  async close(): Promise<void> {}
  async abandon(): Promise<void> {}
}

/** A pipe or socket, written when it is writable: a thread blocked in write(2) could not be stopped. */
class StreamSink implements Sink {
  readonly #socket: Socket;
  #error: NodeJS.ErrnoException | undefined;
  #pending: Uint8Array[] = [];

  constructor(fd: number, taken: Int32Array) {
    this.#socket = new Socket({ fd, readable: false, writable: true });
    Atomics.store(taken, 0, 1);
    this.#socket.on('error', (error) => {
      this.#error ??= error;
    });
  }

  get isBroken(): boolean {
    return this.#error?.code === 'EPIPE' || this.#error?.code === 'ECONNRESET';
  }

  write(data: Uint8Array): void {
    this.#pending.push(data);
  }

  zeros(length: number): void {
    for (let left = length; left > 0; left -= ZEROS.length) this.write(ZEROS.subarray(0, Math.min(left, ZEROS.length)));
  }

  async flush(): Promise<void> {
    const pending = this.#pending;
    this.#pending = [];
    const last = pending.pop();
    if (last === undefined) return;
    if (this.#error === undefined) await this.#writeAll(pending, last);
    if (this.#error !== undefined && !this.isBroken) throw badFile('the pipe', 'it cannot be written', this.#error);
  }

  async close(): Promise<void> {
    await this.flush();
    await this.abandon();
  }

  async abandon(): Promise<void> {
    if (this.#socket.closed) return;
    await new Promise<void>((resolve) => {
      this.#socket.once('close', () => resolve());
      this.#socket.destroy();
    });
  }

  #writeAll(pending: readonly Uint8Array[], last: Uint8Array): Promise<void> {
    return new Promise((resolve) => {
      this.#socket.cork();
      for (const data of pending) this.#socket.write(data);
      this.#socket.write(last, (error) => {
        if (error) this.#error ??= error;
        resolve();
      });
      this.#socket.uncork();
    });
  }
}

/** A regular file. With a path of its own it gets holes and is closed; a borrowed descriptor is written from its current offset. */
class FileSink implements Sink {
  readonly isBroken = false;
  readonly #fd: number;
  readonly #path: string | undefined;
  #position = 0;
  #isClosed = false;

  constructor(fd: number, path: string | undefined) {
    this.#fd = fd;
    this.#path = path;
  }

  write(data: Uint8Array): void {
    try {
      for (let done = 0; done < data.length; ) {
        const position = this.#path === undefined ? null : this.#position + done;
        done += writeSync(this.#fd, data, done, data.length - done, position);
      }
    } catch (cause) {
      throw badFile(this.#path ?? `descriptor ${this.#fd}`, 'it cannot be written', cause);
    }
    this.#position += data.length;
  }

  zeros(length: number): void {
    if (this.#path !== undefined) {
      this.#position += length;
      return;
    }
    for (let left = length; left > 0; left -= ZEROS.length) this.write(ZEROS.subarray(0, Math.min(left, ZEROS.length)));
  }

  async flush(): Promise<void> {}

  async close(): Promise<void> {
    if (this.#path === undefined) return;
    try {
      ftruncateSync(this.#fd, this.#position);
    } finally {
      await this.abandon();
    }
  }

  async abandon(): Promise<void> {
    if (this.#path === undefined || this.#isClosed) return;
    this.#isClosed = true;
    closeSync(this.#fd);
  }
}
