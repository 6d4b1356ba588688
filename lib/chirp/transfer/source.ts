/** Where uploaded bytes come from. */

import { fstat, read } from 'node:fs';
import { promisify } from 'node:util';
import { UsageError } from '../../errors.ts';
import type { DescriptorRange, PutSource } from '../types.ts';
import { systemCallError } from './system-error.ts';

export interface ByteSource {
  /** The next piece, never empty; undefined at the end; a promise while it is being fetched. */
  next(): Buffer | undefined | Promise<Buffer | undefined>;
  /** The oldest piece given out and not yet released has been sent: its memory may be used again. */
  release(): void;
  /** Ends the use of the source; resolves when it is no longer touched. Never rejects. */
  close(): Promise<void>;
}

/** A source with a known length that can be opened, several times if it can be repeated. */
export interface Upload {
  readonly size: number;
  readonly isRepeatable: boolean;
  open(): ByteSource;
}

/**
 * Finds out what a source is.
 * @throws {UsageError} ERR_CHIRP_SIZE_UNKNOWN, ERR_CHIRP_SOURCE_LENGTH when buffers do not add up to `size`.
 */
export async function uploadOf(source: PutSource, size: number | undefined): Promise<Upload> {
  if (size !== undefined && !(Number.isSafeInteger(size) && size >= 0))
    throw new UsageError(`chirp put: size ${size} is not a length`);
  if (typeof source === 'string') return ofBuffers([Buffer.from(source)], size);
  if (source instanceof Uint8Array) return ofBuffers([asBuffer(source)], size);
  if (Array.isArray(source)) return ofBuffers((source as readonly Uint8Array[]).map(asBuffer), size);
  // Streams of files have a member fd too: what can be iterated is a stream.
  if (Symbol.asyncIterator in source) {
    if (size === undefined) throw sizeUnknown();
    return { size, isRepeatable: false, open: () => new StreamSource(source) };
  }
  const { fd, position = 0 } = source as DescriptorRange;
  const length = size ?? (await sizeFrom(fd, position));
  return { size: length, isRepeatable: position !== null, open: () => new DescriptorSource(fd, position, length) };
}

function sizeUnknown(): UsageError {
  return new UsageError('chirp put: the protocol wants the length first, so streams and pipes need the option size', {
    code: 'ERR_CHIRP_SIZE_UNKNOWN',
  });
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

async function sizeFrom(fd: number, position: number | null): Promise<number> {
  const stats = await promisify(fstat)(fd);
  if (position === null || !stats.isFile()) throw sizeUnknown();
  return Math.max(0, stats.size - position);
}

function ofBuffers(buffers: readonly Buffer[], size: number | undefined): Upload {
  const total = buffers.reduce((sum, buffer) => sum + buffer.length, 0);
  if (size !== undefined && size !== total) {
    throw new UsageError(`chirp put: ${total} bytes given, ${size} announced`, { code: 'ERR_CHIRP_SOURCE_LENGTH' });
  }
  return { size: total, isRepeatable: true, open: () => new BufferSource(buffers) };
}

/** One write of this size keeps the socket busy and still shows progress. */
const SLICE = 1024 * 1024;

class BufferSource implements ByteSource {
  readonly #buffers: readonly Buffer[];
  #index = 0;
  #offset = 0;

  constructor(buffers: readonly Buffer[]) {
    this.#buffers = buffers;
  }

  next(): Buffer | undefined {
    for (;;) {
      const buffer = this.#buffers[this.#index];
      if (buffer === undefined) return undefined;
      const piece = buffer.subarray(this.#offset, this.#offset + SLICE);
      this.#offset += piece.length;
      if (piece.length > 0) return piece;
      this.#index += 1;
      this.#offset = 0;
    }
  }

  release(): void {}
  async close(): Promise<void> {}
}

class StreamSource implements ByteSource {
  readonly #iterator: AsyncIterator<Uint8Array>;

  constructor(stream: AsyncIterable<Uint8Array>) {
    this.#iterator = stream[Symbol.asyncIterator]();
  }

  async next(): Promise<Buffer | undefined> {
    for (;;) {
      const result = await this.#iterator.next();
      if (result.done === true) return undefined;
      const value: unknown = result.value;
      if (typeof value === 'string') return Buffer.from(value);
      if (!(value instanceof Uint8Array)) throw new UsageError('chirp put: the stream does not give bytes');
      if (value.length > 0) return asBuffer(value);
    }
  }

  release(): void {}

  async close(): Promise<void> {
    // Ends the stream. One that is waiting for its producer answers only when that moves, so it is not waited for.
    Promise.resolve(this.#iterator.return?.()).catch(() => undefined);
  }
}

const RING = 4;

/** Reads ahead into a few blocks that are used again once they have been sent. */
class DescriptorSource implements ByteSource {
  readonly #fd: number;
  #position: number | null;
  #remaining: number;
  #free: Buffer[] = [];
  #allocated = 0;
  readonly #given: Buffer[] = [];
  #ahead: Promise<Buffer | undefined> | undefined;

  constructor(fd: number, position: number | null, length: number) {
    this.#fd = fd;
    this.#position = position;
    this.#remaining = length;
  }

  async next(): Promise<Buffer | undefined> {
    // Never two reads at a time: the second would not know where the first one ends.
    this.#ahead ??= this.#read();
    const piece = await this.#ahead;
    this.#ahead = undefined;
    if (piece !== undefined) this.#given.push(piece);
    this.#readAhead();
    return piece;
  }

  release(): void {
    const piece = this.#given.shift();
    if (piece !== undefined) this.#free.push(Buffer.from(piece.buffer, 0, SLICE));
    this.#readAhead();
  }

  async close(): Promise<void> {
    this.#remaining = 0;
    await this.#ahead?.catch(() => undefined);
  }

  #readAhead(): void {
    if (this.#ahead !== undefined || this.#remaining === 0 || (this.#free.length === 0 && this.#allocated >= RING))
      return;
    this.#ahead = this.#read();
    this.#ahead.catch(() => undefined);
  }

  #read(): Promise<Buffer | undefined> {
    const length = Math.min(SLICE, this.#remaining);
    if (length === 0) return Promise.resolve(undefined);
    const block = this.#free.pop() ?? this.#allocate();
    const at = this.#position;
    return new Promise((resolve, reject) => {
      read(this.#fd, block, 0, length, at, (error, count) => {
        if (error !== null) return reject(systemCallError(error));
        this.#remaining -= Math.min(count, this.#remaining);
        if (this.#position !== null) this.#position += count;
        return resolve(count === 0 ? undefined : block.subarray(0, count));
      });
    });
  }

  /** Own memory, not a part of Node's pool: release() finds the whole block again behind a piece of it. */
  #allocate(): Buffer {
    this.#allocated += 1;
    return Buffer.allocUnsafeSlow(SLICE);
  }
}
