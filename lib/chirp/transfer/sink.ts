/** Where downloaded bytes go. */

import { write } from 'node:fs';
import type { Writable } from 'node:stream';
import { systemCallError } from './system-error.ts';

export interface ByteSink {
  /** Takes a piece, whose memory is only valid until this returns. A promise asks to wait before the next piece. */
  write(piece: Buffer): undefined | Promise<void>;
  /** Called after the last piece; resolves once everything has reached the target. */
  finish(): Promise<void>;
  /** Resolves when the target is no longer touched, also after a failure. Never rejects. */
  settled(): Promise<void>;
}

/** Fills a buffer of exactly the file's length. */
export class BufferSink implements ByteSink {
  readonly #target: Buffer;
  #filled = 0;

  constructor(target: Buffer) {
    this.#target = target;
  }

  write(piece: Buffer): undefined {
    piece.copy(this.#target, this.#filled);
    this.#filled += piece.length;
    return undefined;
  }

  async finish(): Promise<void> {}
  async settled(): Promise<void> {}
}

/** Writes into a stream, waiting when it asks for it; does not end it. */
export class WritableSink implements ByteSink {
  readonly #target: Writable;
  #failure: Error | undefined;
  readonly #onError = (error: Error): void => {
    this.#failure = error;
  };

  constructor(target: Writable) {
    this.#target = target;
    // While it is in use here, its failure is reported by the transfer.
    target.on('error', this.#onError);
  }

  write(piece: Buffer): undefined | Promise<void> {
    const target = this.#target;
    if (target.destroyed || target.writableEnded) return Promise.reject(this.#reason());
    // The stream may keep the piece after this returns.
    return target.write(Buffer.from(piece)) ? undefined : drained(target);
  }

  async finish(): Promise<void> {
    if (this.#target.writableNeedDrain) await drained(this.#target);
    if (this.#target.errored !== null) throw this.#reason();
  }

  async settled(): Promise<void> {
    this.#target.off('error', this.#onError);
  }

  #reason(): Error {
    return this.#failure ?? this.#target.errored ?? new Error('The target stream is closed');
  }
}

function drained(target: Writable): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = (): void => {
      target.off('drain', onDrain).off('error', onError).off('close', onClose);
    };
    const onDrain = (): void => {
      stop();
      resolve();
    };
    const onError = (error: Error): void => {
      stop();
      reject(error);
    };
    const onClose = (): void => {
      stop();
      reject(new Error('The target stream was closed before it had everything'));
    };
    target.on('drain', onDrain).on('error', onError).on('close', onClose);
  });
}

const BLOCK = 2 * 1024 * 1024;

/** Writes blocks to a descriptor while the next one fills: network and disk work at the same time. */
export class DescriptorSink implements ByteSink {
  readonly #fd: number;
  #position: number | null;
  #filling: Buffer = Buffer.allocUnsafe(BLOCK);
  #spare: Buffer | undefined = Buffer.allocUnsafe(BLOCK);
  #filled = 0;
  #writing: Promise<void> = Promise.resolve();
  #busy = false;

  constructor(fd: number, position: number | null) {
    this.#fd = fd;
    this.#position = position;
  }

  write(piece: Buffer): undefined | Promise<void> {
    const copied = piece.copy(this.#filling, this.#filled);
    this.#filled += copied;
    if (this.#filled < BLOCK) return undefined;
    const rest = piece.subarray(copied);
    if (!this.#busy) {
      this.#flush();
      return rest.length === 0 ? undefined : this.write(rest);
    }
    const kept = Buffer.from(rest);
    return this.#writing.then(() => {
      this.#flush();
      return kept.length === 0 ? undefined : this.write(kept);
    });
  }

  async finish(): Promise<void> {
    await this.#writing;
    if (this.#filled > 0) this.#flush();
    await this.#writing;
  }

  async settled(): Promise<void> {
    // The failure has been reported by write or finish.
    await this.#writing.catch(() => undefined);
  }

  #flush(): void {
    const block = this.#filling;
    const length = this.#filled;
    this.#filling = this.#spare ?? Buffer.allocUnsafe(BLOCK);
    this.#spare = undefined;
    this.#filled = 0;
    this.#busy = true;
    this.#writing = writeAll(this.#fd, block, length, this.#position).then(() => {
      this.#spare = block;
      this.#busy = false;
    });
    // It is awaited by the next write or finish; a failure in between must not count as unhandled.
    this.#writing.catch(() => undefined);
    if (this.#position !== null) this.#position += length;
  }
}

async function writeAll(fd: number, block: Buffer, length: number, position: number | null): Promise<void> {
  for (let done = 0; done < length; ) {
    const at = position === null ? null : position + done;
    done += await new Promise<number>((resolve, reject) => {
      write(fd, block, done, length - done, at, (error, written) =>
        error === null ? resolve(written) : reject(systemCallError(error)),
      );
    });
  }
}
