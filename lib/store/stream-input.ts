/**
 * Bytes of a descriptor, 1 MiB at a time, for a consumer that may pause. Pipes and sockets are read when they are readable, never by a thread
 * that blocks in read(2): such a thread cannot be stopped, and a process that wants to exit would wait for it.
 */
import { readSync } from 'node:fs';
import { type OnReadOpts, Socket, type SocketConstructorOpts } from 'node:net';

const READ_BYTES = 1024 * 1024;
const WINDOW_BYTES = 4 * READ_BYTES;

export interface InputHandlers {
  /** New bytes. @returns False to pause until resume() is called. */
  readonly onBytes: () => boolean;
  readonly onEnd: () => void;
  readonly onError: (error: Error) => void;
}

export class StreamInput {
  readonly #window = Buffer.allocUnsafeSlow(WINDOW_BYTES);
  readonly #handlers: InputHandlers;
  #head = 0;
  #tail = 0;
  #resume: () => void = () => undefined;

  /** @param isStream A pipe or socket, which is closed at its end; the descriptor of a regular file stays open. */
  constructor(fd: number, isStream: boolean, handlers: InputHandlers) {
    this.#handlers = handlers;
    if (isStream) this.#readSocket(fd);
    else this.#readFile(fd);
  }

  /** What has not been consumed yet; a view that is valid until control returns. */
  get bytes(): Uint8Array {
    return this.#window.subarray(this.#head, this.#tail);
  }

  consume(count: number): void {
    this.#head += count;
  }

  resume(): void {
    this.#resume();
  }

  #readSocket(fd: number): void {
    const onread: OnReadOpts = {
      buffer: () => this.#space(),
      callback: (count) => {
        this.#tail += count;
        return this.#handlers.onBytes();
      },
    };
    // @types/node knows `onread` only of connect(), yet the constructor takes it. Source: lib/net.js, Socket.
    const options: SocketConstructorOpts & { readonly onread: OnReadOpts } = {
      fd,
      readable: true,
      writable: false,
      onread,
    };
    const socket = new Socket(options);
    this.#resume = () => socket.resume();
    socket.once('end', () => {
      socket.destroy();
      this.#handlers.onEnd();
    });
    socket.once('error', (error) => this.#handlers.onError(error));
    socket.resume();
  }

  #readFile(fd: number): void {
    const step = (): void => {
      try {
        const space = this.#space();
        const count = readSync(fd, space, 0, space.length, null);
        this.#tail += count;
        if (count === 0) this.#handlers.onEnd();
        else if (this.#handlers.onBytes()) setImmediate(step);
      } catch (error) {
        this.#handlers.onError(error as Error);
      }
    };
    this.#resume = step;
    setImmediate(step);
  }

  /** Room for one read. Called only between a read and the next, when no earlier result of it is in use. */
  #space(): Buffer {
    if (WINDOW_BYTES - this.#tail < READ_BYTES) {
      this.#window.copyWithin(0, this.#head, this.#tail);
      this.#tail -= this.#head;
      this.#head = 0;
    }
    return this.#window.subarray(this.#tail, this.#tail + READ_BYTES);
  }
}
