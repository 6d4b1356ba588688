/**
 * Replies as conversations: a generator asks for the next piece (a line, a counted body, …) and gets it once it is there. The same
 * generator serves any cutting of the byte stream, pipelining keeps "length line and body" in one unit, and a body can be sent only by a
 * conversation that has read its go-ahead.
 */

import type { ByteSink } from '../transfer/sink.ts';
import type { ByteSource } from '../transfer/source.ts';

export type Step =
  /** One line without its LF, at most `maxBytes` long. */
  | { readonly kind: 'line'; readonly maxBytes: number }
  /** Exactly as many bytes as the target holds. */
  | { readonly kind: 'fill'; readonly target: Buffer }
  /** Exactly `length` bytes handed on as they come, with back-pressure. */
  | { readonly kind: 'stream'; readonly length: number; readonly sink: ByteSink }
  /** Sends exactly `length` bytes. Answered with some bytes when the server spoke before it had everything: whatever it says, the rest must not be sent. */
  | {
      readonly kind: 'upload';
      readonly length: number;
      readonly source: ByteSource;
      readonly onSent: (sent: number) => void;
    }
  | { readonly kind: 'send'; readonly data: Uint8Array }
  | { readonly kind: 'wait'; readonly promise: Promise<unknown> };

/** Every step is answered with bytes: the line, the filled target, else (but see `upload`) none. */
export type Conversation<T> = Generator<Step, T, Buffer>;

/** Thrown inside a conversation: report `cause`, and never use this connection again. */
export class DropConnection extends Error {
  constructor(cause: unknown) {
    super('The connection cannot be used any longer', { cause });
  }
}

/** Longest line a reply may have: names come raw and may be 255 bytes, paths 4095, subjects less. */
const MAX_REPLY_LINE = 8192;

export function* readLine(maxBytes: number = MAX_REPLY_LINE): Conversation<Buffer> {
  return yield { kind: 'line', maxBytes };
}

/** A body of a known, already judged length. */
export function* readBytes(length: number): Conversation<Buffer> {
  const target = Buffer.allocUnsafe(length);
  if (length > 0) yield { kind: 'fill', target };
  return target;
}

export function* readInto(target: Buffer): Conversation<void> {
  if (target.length > 0) yield { kind: 'fill', target };
}
