/** Sends a body of known length: a window of large writes, refilled as the kernel takes them. */

import type { Socket } from 'node:net';
import { UsageError } from '../../errors.ts';
import type { ByteSource } from './source.ts';

/** Bytes handed to the socket and not yet taken by the kernel: enough that one write is always queued behind the running one. */
const WINDOW = 8 * 1024 * 1024;

export interface SenderEvents {
  /** The kernel has taken more bytes; `sent` in all. */
  readonly onSent: (sent: number) => void;
  /** Everything has been taken, or the source failed. */
  readonly onEnd: (error: unknown) => void;
}

export class BodySender {
  readonly #socket: Socket;
  readonly #source: ByteSource;
  readonly #length: number;
  readonly #events: SenderEvents;
  #handed = 0;
  #sent = 0;
  #waiting = false;
  #exhausted = false;
  #stopped = false;

  constructor(socket: Socket, source: ByteSource, length: number, events: SenderEvents) {
    this.#socket = socket;
    this.#source = source;
    this.#length = length;
    this.#events = events;
  }

  /** The server has nothing to wait for but we wait for the source. */
  get isWaitingForSource(): boolean {
    return this.#waiting && this.#sent === this.#handed;
  }

  /** All bytes have been given to the socket, so that the server's answer may come. */
  get isHandedOver(): boolean {
    return this.#handed === this.#length;
  }

  start(): void {
    this.#pump();
  }

  /** Touches neither socket nor source any more. */
  stop(): void {
    this.#stopped = true;
  }

  #pump(): void {
    while (!this.#stopped && !this.#waiting && !this.#exhausted && this.#handed - this.#sent < WINDOW) {
      const piece = this.#source.next();
      if (piece instanceof Promise) {
        this.#waiting = true;
        piece.then(
          (value) => this.#arrived(value),
          (error: unknown) => this.#end(error),
        );
        return;
      }
      this.#take(piece);
    }
  }

  #arrived(piece: Buffer | undefined): void {
    this.#waiting = false;
    if (this.#stopped) return;
    this.#take(piece);
    this.#pump();
  }

  #take(piece: Buffer | undefined): void {
    if (piece === undefined) {
      this.#exhausted = true;
      if (this.#handed < this.#length) this.#end(this.#mismatch(`only ${this.#handed} of`));
      else this.#endIfSent();
    } else if (piece.length > this.#length - this.#handed) {
      this.#end(this.#mismatch('more than'));
    } else {
      this.#handed += piece.length;
      this.#socket.write(piece, (error) => this.#taken(piece.length, error ?? undefined));
    }
  }

  #taken(length: number, error: Error | undefined): void {
    // A broken socket is reported by its own events.
    if (error !== undefined || this.#stopped) return;
    this.#sent += length;
    this.#source.release();
    try {
      this.#events.onSent(this.#sent);
      this.#pump();
    } catch (failure) {
      // A listener of the caller: thrown into the socket it would end the process.
      this.#end(failure);
    }
    this.#endIfSent();
  }

  #endIfSent(): void {
    if (this.#exhausted && this.#sent === this.#length) this.#end(undefined);
  }

  #mismatch(found: string): UsageError {
    return new UsageError(`chirp put: the source holds ${found} the ${this.#length} bytes announced`, {
      code: 'ERR_CHIRP_SOURCE_LENGTH',
    });
  }

  #end(error: unknown): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#events.onEnd(error);
  }
}
