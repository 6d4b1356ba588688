/** One request under way: its conversation, driven as far as the bytes at hand allow, and the promise of its result. */

import type { Command } from './commands/command.ts';
import type { BodySender } from './transfer/sender.ts';
import type { ByteSource } from './transfer/source.ts';
import type { Conversation, Step } from './wire/conversation.ts';
import type { ReplyReader } from './wire/reader.ts';

const NOTHING: Buffer = Buffer.alloc(0);
/** Answer to an upload step that the server cut short. */
const INTERRUPTED: Buffer = Buffer.from('interrupted');

/** What an exchange needs of its connection. */
export interface Wire {
  readonly reader: ReplyReader;
  send(data: Uint8Array): void;
  upload(
    source: ByteSource,
    length: number,
    onSent: (sent: number) => void,
    onEnd: (error: unknown) => void,
  ): BodySender;
  /** Something that the exchange waited for is there. */
  resume(): void;
  /** The exchange cannot go on, nor can the connection. */
  fail(error: unknown): void;
}

/** `hungry`: needs more bytes of the server. `blocked`: waits for something else. */
export type Progress = 'done' | 'hungry' | 'blocked';

export class Exchange<T> {
  readonly command: Command<T>;
  readonly promise: Promise<T>;
  /** The request line has been given to the socket. */
  sent = false;
  /** The answer grows with the data: be patient. */
  slow: boolean;
  #conversation: Conversation<T> | undefined;
  #step: Step | undefined;
  #taken = 0;
  #waiting = false;
  #sender: BodySender | undefined;
  #resolve: (value: T) => void = () => undefined;
  #reject: (error: unknown) => void = () => undefined;

  constructor(command: Command<T>) {
    this.command = command;
    this.slow = command.slow ?? false;
    this.promise = new Promise<T>((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  /** The delay is on our side: the server must not be blamed for it. */
  get isWaitingForUs(): boolean {
    if (this.#sender !== undefined) return this.#sender.isWaitingForSource;
    return this.#waiting;
  }

  /** A body is being sent and the server ought to be silent. */
  get isUploading(): boolean {
    return this.#sender !== undefined && !this.#sender.isHandedOver;
  }

  /** Bytes of the server arrived while it should have been listening: whatever they say ends the upload. */
  interruptUpload(): void {
    this.#sender?.stop();
    this.#sender = undefined;
    this.#waiting = false;
    this.#next(INTERRUPTED);
  }

  /** Rejects; the reply, if one is still to come, is read and dropped. */
  reject(error: unknown): void {
    this.#reject(error);
  }

  /** Ends for good: runs the conversation's clean-up. */
  kill(error: unknown): void {
    this.#sender?.stop();
    this.#conversation?.return(undefined as never);
    this.#reject(error);
  }

  /** Goes on as far as possible. Throws what the conversation throws: a ChirpError leaves the connection in step, anything else does not. */
  advance(wire: Wire): Progress {
    if (this.#conversation === undefined) {
      this.#conversation = this.command.converse();
      this.#next(undefined);
    }
    while (this.#step !== undefined) {
      if (this.#waiting) return 'blocked';
      const outcome = this.#take(this.#step, wire);
      if (outcome !== undefined) return outcome;
    }
    return 'done';
  }

  /** Serves one step; undefined when it is complete. */
  #take(step: Step, wire: Wire): Progress | undefined {
    switch (step.kind) {
      case 'line': {
        const line = wire.reader.takeLine(step.maxBytes);
        if (line === undefined) return 'hungry';
        return this.#next(line);
      }
      case 'fill':
        return this.#fill(step.target, wire.reader);
      case 'stream':
        return this.#stream(step, wire);
      case 'send':
        wire.send(step.data);
        return this.#next(NOTHING);
      case 'wait':
        return this.#wait(step.promise, wire, () => this.#next(NOTHING));
      case 'upload':
        return this.#upload(step, wire);
    }
  }

  #fill(target: Buffer, reader: ReplyReader): Progress | undefined {
    while (this.#taken < target.length) {
      const piece = reader.takeSome(target.length - this.#taken);
      if (piece === undefined) return 'hungry';
      piece.copy(target, this.#taken);
      this.#taken += piece.length;
    }
    return this.#next(target);
  }

  #stream(step: Step & { kind: 'stream' }, wire: Wire): Progress | undefined {
    while (this.#taken < step.length) {
      const piece = wire.reader.takeSome(step.length - this.#taken);
      if (piece === undefined) return 'hungry';
      this.#taken += piece.length;
      const busy = step.sink.write(piece);
      if (busy !== undefined) return this.#wait(busy, wire, () => undefined);
    }
    return this.#next(NOTHING);
  }

  #wait(promise: Promise<unknown>, wire: Wire, then: () => void): Progress {
    this.#waiting = true;
    promise.then(
      () => {
        this.#waiting = false;
        this.#guard(wire, then);
      },
      (error: unknown) => wire.fail(error),
    );
    return 'blocked';
  }

  #upload(step: Step & { kind: 'upload' }, wire: Wire): Progress | undefined {
    this.#waiting = true;
    const onEnd = (error: unknown): void => {
      if (error !== undefined) {
        wire.fail(error);
        return;
      }
      this.#sender = undefined;
      this.#waiting = false;
      // What follows is the server's: it may have to write everything to its disk first.
      this.slow = true;
      this.#guard(wire, () => this.#next(NOTHING));
    };
    this.#sender = wire.upload(step.source, step.length, step.onSent, onEnd);
    this.#sender.start();
    // An empty body has ended already.
    return this.#waiting ? 'blocked' : undefined;
  }

  #guard(wire: Wire, then: () => void): void {
    try {
      then();
    } catch (error) {
      wire.fail(error);
      return;
    }
    wire.resume();
  }

  #next(answer: Buffer | undefined): undefined {
    this.#taken = 0;
    const result = this.#conversation?.next(answer ?? NOTHING);
    if (result === undefined || result.done === true) {
      this.#step = undefined;
      if (result !== undefined) this.#resolve(result.value as T);
    } else {
      this.#step = result.value;
    }
    return undefined;
  }
}
