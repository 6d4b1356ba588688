/** Incoming bytes, given out as lines and counted pieces. Holds no more than an unfinished line beyond what the caller pushes. */

import { protocolError } from './replies.ts';

const LF = 0x0a;

export class ReplyReader {
  #chunks: Buffer[] = [];
  #size = 0;
  /** How much of the buffered bytes is known to hold no LF. */
  #scanned = 0;

  /** Bytes pushed and not yet taken. */
  get size(): number {
    return this.#size;
  }

  /** Adds bytes. They are not copied: see `detach`. */
  push(chunk: Buffer): void {
    if (chunk.length === 0) return;
    this.#chunks.push(chunk);
    this.#size += chunk.length;
  }

  /** Copies what is left, so that the memory behind the last pushed chunk may be reused. */
  detach(): void {
    const last = this.#chunks.at(-1);
    if (last !== undefined) this.#chunks[this.#chunks.length - 1] = Buffer.from(last);
  }

  /**
   * Takes a line, without its LF; undefined when it is not complete yet.
   * @throws {ChirpProtocolError} As soon as more than `maxBytes` are there without an LF.
   */
  takeLine(maxBytes: number): Buffer | undefined {
    let before = 0;
    for (const chunk of this.#chunks) {
      const from = Math.max(0, this.#scanned - before);
      const found = from < chunk.length ? chunk.indexOf(LF, from) : -1;
      if (found >= 0 && before + found <= maxBytes) return this.#cutLine(before + found);
      if (found >= 0 || before + chunk.length > maxBytes)
        throw protocolError(`a reply line is longer than ${maxBytes} bytes`);
      before += chunk.length;
    }
    this.#scanned = before;
    this.#merge();
    return undefined;
  }

  /** Takes up to `maxBytes`, as they lie in memory; undefined when there is nothing. */
  takeSome(maxBytes: number): Buffer | undefined {
    const first = this.#chunks[0];
    if (first === undefined || maxBytes <= 0) return undefined;
    this.#scanned = 0;
    if (first.length <= maxBytes) {
      this.#chunks.shift();
      this.#size -= first.length;
      return first;
    }
    this.#chunks[0] = first.subarray(maxBytes);
    this.#size -= maxBytes;
    return first.subarray(0, maxBytes);
  }

  #cutLine(length: number): Buffer {
    const line = Buffer.allocUnsafe(length);
    for (let done = 0; done < length; ) {
      const piece = this.takeSome(length - done);
      if (piece === undefined) break;
      piece.copy(line, done);
      done += piece.length;
    }
    this.takeSome(1);
    return line;
  }

  /** Many one-byte chunks of an unfinished line become one buffer, so that a slow drip costs no list of objects. */
  #merge(): void {
    if (this.#chunks.length > 16) this.#chunks = [Buffer.concat(this.#chunks)];
  }
}
