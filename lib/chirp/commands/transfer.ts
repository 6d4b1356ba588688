/** Whole files in one request. */

import { BlcrError, ChirpError } from '../../errors.ts';
import type { ByteSink } from '../transfer/sink.ts';
import type { ByteSource } from '../transfer/source.ts';
import type { ChirpPath } from '../types.ts';
import { type Conversation, DropConnection } from '../wire/conversation.ts';
import { requestLine } from '../wire/line.ts';
import { displayPath, encodePath, type PathRules } from '../wire/path.ts';
import { protocolError, readDone, readResult } from '../wire/replies.ts';
import type { Command } from './command.ts';

/**
 * Uploads a file. The body leaves only from the step behind the server's go-ahead: sent after a refusal it would be executed as requests.
 * The server truncates the target at the go-ahead and removes it when the body does not arrive completely.
 * After a body that failed the connection is given up: how much of it the server has taken is unknowable.
 * @param shown The name for messages, where the upload goes under a temporary one.
 */
export function putfile(
  path: ChirpPath,
  mode: number,
  size: number,
  source: ByteSource,
  onSent: (sent: number) => void,
  rules: PathRules,
  shown: string = displayPath(path),
): Command<number> {
  function* converse(): Conversation<number> {
    yield* readDone('putfile', shown);
    const early = yield { kind: 'upload', length: size, source, onSent };
    let stored: number;
    try {
      stored = yield* readResult('putfile', shown);
    } catch (error) {
      throw error instanceof ChirpError ? new DropConnection(error) : error;
    }
    if (early.length > 0) throw protocolError('the server answers a putfile before it has the body');
    if (stored !== size) throw protocolError(`the server stored ${stored} bytes of ${size}`);
    return stored;
  }
  const line = requestLine('putfile', encodePath(path, rules), mode, size);
  return { name: 'putfile', line, idempotent: false, flow: 'gated', path: shown, converse };
}

/**
 * Downloads a file.
 * @param sinkFor Gives the sink for a file of that many bytes; what it throws ends the connection, because the body is on its way.
 */
export function getfile(
  path: ChirpPath,
  sinkFor: (size: number) => ByteSink,
  idempotent: boolean,
  rules: PathRules,
): Command<number> {
  const shown = displayPath(path);
  function* converse(): Conversation<number> {
    const length = yield* readResult('getfile', shown);
    const sink = open(length);
    yield { kind: 'stream', length, sink };
    yield { kind: 'wait', promise: sink.finish() };
    return length;
  }
  function open(length: number): ByteSink {
    try {
      return sinkFor(length);
    } catch (error) {
      throw new DropConnection(error);
    }
  }
  const line = requestLine('getfile', encodePath(path, rules));
  return { name: 'getfile', line, idempotent, flow: 'streamed', path: shown, converse };
}

/** More than the caller is ready to hold. */
export function tooLarge(path: ChirpPath, size: number, limit: number): BlcrError {
  return new BlcrError(`chirp: ${displayPath(path)} has ${size} bytes, at most ${limit} are wanted`, {
    code: 'ERR_CHIRP_TOO_LARGE',
  });
}
