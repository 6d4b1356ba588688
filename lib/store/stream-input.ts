/**
 * Bytes of a descriptor, 1 MiB at a time, for a consumer that may pause. Pipes and sockets are read when they are readable, never by a thread
 * that blocks in read(2): such a thread cannot be stopped, and a process that wants to exit would wait for it.
 */
import { readSync } from 'node:fs';
import { type OnReadOpts, Socket, type SocketConstructorOpts } from 'node:net';

export interface InputHandlers {
  /** Room for the next read; undefined when there is none now. */
  readonly space: () => Uint8Array | undefined;
  /** So many new bytes are where room was given. @returns False to pause until resume() is called; always when there is no more room. */
  readonly onBytes: (count: number) => boolean;
  readonly onEnd: () => void;
  readonly onError: (error: Error) => void;
}

const SPARE_BYTES = 64 * 1024;

export class StreamInput {
  readonly #handlers: InputHandlers;
  #resume: () => void = () => undefined;

  /** @param isStream A pipe or socket, which is closed at its end; the descriptor of a regular file stays open. */
  constructor(fd: number, isStream: boolean, handlers: InputHandlers) {
    this.#handlers = handlers;
    if (isStream) this.#readSocket(fd);
    else this.#readFile(fd);
  }

  resume(): void {
    this.#resume();
  }

  #readSocket(fd: number): void {
    const { space, onBytes } = this.#handlers;
    // A socket asks for the place of its next read before it pauses, and reads there when it is resumed.
    const spare = Buffer.allocUnsafeSlow(SPARE_BYTES);
    let target: Uint8Array = spare;
    const onread: OnReadOpts = {
      buffer: () => {
        target = space() ?? spare;
        return target;
      },
      callback: (count) => {
        if (target === spare) roomFor(space()).set(spare.subarray(0, count));
        return onBytes(count);
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
        const space = roomFor(this.#handlers.space());
        const count = readSync(fd, space, 0, space.length, null);
        if (count === 0) this.#handlers.onEnd();
        else if (this.#handlers.onBytes(count)) setImmediate(step);
      } catch (error) {
        this.#handlers.onError(error as Error);
      }
    };
    this.#resume = step;
    setImmediate(step);
  }
}

function roomFor(space: Uint8Array | undefined): Uint8Array {
  if (space === undefined) throw new RangeError('the stream was resumed without room for its bytes');
  return space;
}
