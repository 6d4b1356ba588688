/**
 * Cuts a context stream into pieces that stay the same as long as the memory behind them does. Only the 16-byte header in front of every
 * frame is read (`type length crc cut`, little endian): a payload is divided at `cut` and then every 64 KiB. A stream that does not begin with
 * a HEAD frame (the context of genuine BLCR) is cut every 64 KiB.
 * Source: native/engine/image/format.h
 */
import { badContext } from './store-error.ts';

export const UNIT_BYTES: number = 64 * 1024;
/** The largest payload of a frame, hence of a piece. */
export const MAX_PIECE: number = 1024 * 1024 + 4096;
/** Smaller pieces are kept in the manifest: a unit of their own would cost more. */
export const INLINE_BELOW = 4096;

const HEADER_BYTES = 16;
const HEAD = 0x44414548;
const TRAILER = 0x524c5254;

export interface Piece {
  readonly length: number;
  readonly isInline: boolean;
}

/** Pull parser: the caller owns the bytes and asks how long the next piece is. */
export class FrameSplitter {
  #mode: 'unknown' | 'frames' | 'opaque' = 'unknown';
  #payloadLeft = 0;
  #nextCut = 0;
  #lastType = 0;

  /**
   * @param data Bytes of the stream that no piece has taken yet.
   * @param isEnd Nothing follows `data`.
   * @returns The next piece at the beginning of `data`, undefined when more bytes are needed (or none are left at the end).
   * @throws {StoreError} ERR_STORE_CONTEXT for an impossible frame, or an end inside a frame or before the trailer.
   */
  next(data: Uint8Array, isEnd: boolean): Piece | undefined {
    if (this.#mode === 'unknown') this.#detect(data, isEnd);
    if (this.#mode === 'frames') return this.#nextOfFrame(data, isEnd);
    if (this.#mode === 'unknown' || data.length === 0 || (data.length < UNIT_BYTES && !isEnd)) return undefined;
    const length = Math.min(UNIT_BYTES, data.length);
    return { length, isInline: length < INLINE_BELOW };
  }

  #detect(data: Uint8Array, isEnd: boolean): void {
    if (data.length === 0 && isEnd) throw badContext('it is empty');
    if (data.length < HEADER_BYTES && !isEnd) return;
    const isFramed = data.length >= HEADER_BYTES && viewOf(data).getUint32(0, true) === HEAD;
    this.#mode = isFramed ? 'frames' : 'opaque';
  }

  #nextOfFrame(data: Uint8Array, isEnd: boolean): Piece | undefined {
    if (this.#payloadLeft === 0) return this.#header(data, isEnd);
    const length = Math.min(this.#nextCut, this.#payloadLeft);
    if (data.length < length) {
      if (isEnd) throw badContext('it ends inside a frame');
      return undefined;
    }
    this.#payloadLeft -= length;
    this.#nextCut = UNIT_BYTES;
    return { length, isInline: length < INLINE_BELOW };
  }

  #header(data: Uint8Array, isEnd: boolean): Piece | undefined {
    if (data.length === 0 && isEnd && this.#lastType !== TRAILER) throw badContext('it ends without a trailer');
    if (data.length > 0 && this.#lastType === TRAILER) throw badContext('data follows the trailer');
    if (data.length < HEADER_BYTES) {
      if (isEnd && data.length > 0) throw badContext('it ends inside a frame header');
      return undefined;
    }
    const view = viewOf(data);
    const length = view.getUint32(4, true);
    const cut = view.getUint32(12, true);
    if (length > MAX_PIECE) throw badContext(`a frame of ${length} bytes exceeds the limit of ${MAX_PIECE}`);
    this.#lastType = view.getUint32(0, true);
    this.#payloadLeft = length;
    this.#nextCut = cut >= length ? length : cut === 0 ? UNIT_BYTES : cut;
    return { length: HEADER_BYTES, isInline: true };
  }
}

function viewOf(data: Uint8Array): DataView {
  return new DataView(data.buffer, data.byteOffset, data.byteLength);
}
