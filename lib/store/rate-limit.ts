/** A limit on the rate of an upload, shared by all its connections. */

import { pause } from '../util/retry.ts';

/** Pieces small enough that the flow is even and never looks like a stall, large enough for the rate to be reached. */
const PIECES_A_SECOND = 8;
const LEAST_PIECE = 4 * 1024;
const LARGEST_PIECE = 1024 * 1024;

export class RateLimit {
  readonly #bytesPerMs: number;
  readonly #piece: number;
  /** When the next byte may go. */
  #free = performance.now();

  /** @param bytesPerSecond Above 0. */
  constructor(bytesPerSecond: number) {
    this.#bytesPerMs = bytesPerSecond / 1000;
    this.#piece = Math.floor(Math.min(LARGEST_PIECE, Math.max(LEAST_PIECE, bytesPerSecond / PIECES_A_SECOND)));
  }

  /** The data in pieces, each when it is its turn. */
  async *pace(data: Uint8Array, signal?: AbortSignal): AsyncGenerator<Uint8Array, void, undefined> {
    for (let done = 0; done < data.length; done += this.#piece) {
      const piece = data.subarray(done, done + this.#piece);
      await this.#take(piece.length, signal);
      yield piece;
    }
  }

  async #take(bytes: number, signal: AbortSignal | undefined): Promise<void> {
    const now = performance.now();
    const turn = Math.max(now, this.#free);
    this.#free = turn + bytes / this.#bytesPerMs;
    if (turn > now) await pause(turn - now, signal);
  }
}
