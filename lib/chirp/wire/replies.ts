/** The pieces replies are made of. Everything that does not fit is a ChirpProtocolError and costs the connection. */

import { ChirpProtocolError } from '../../errors.ts';
import { resultError } from './codes.ts';
import { type Conversation, readBytes, readLine } from './conversation.ts';
import { MAX_LISTING } from './limits.ts';

export function protocolError(detail: string): ChirpProtocolError {
  return new ChirpProtocolError(`chirp protocol: ${detail}`, { code: 'ERR_CHIRP_PROTOCOL' });
}

/** A decimal integer and nothing else. */
export function parseInteger(text: string, what: string): number {
  const value = /^-?\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(value))
    throw protocolError(`${what} is not an integer: ${JSON.stringify(text.slice(0, 80))}`);
  return value;
}

/** The result line of a request: a number >= 0, else the ChirpError it stands for. */
export function* readResult(command: string, path?: string): Conversation<number> {
  const line = yield* readLine(64);
  const result = parseInteger(line.toString('latin1').trim(), `answer to ${command}`);
  if (result < 0) throw resultError(command, result, path);
  return result;
}

/** For requests whose success is the number 0 alone. */
export function* readDone(command: string, path?: string): Conversation<void> {
  const result = yield* readResult(command, path);
  if (result !== 0) throw protocolError(`answer to ${command} is ${result} instead of 0`);
}

/** A counted body of at most `limit` bytes. */
export function* readCounted(command: string, limit: number, path?: string): Conversation<Buffer> {
  const length = yield* readResult(command, path);
  if (length > limit) throw protocolError(`${command} announces ${length} bytes, at most ${limit} were asked for`);
  return yield* readBytes(length);
}

/** A length on its own line, then that many bytes, as ticket replies are built. */
export function* readBlock(command: string, limit: number): Conversation<Buffer> {
  const length = parseInteger((yield* readLine(64)).toString('latin1').trim(), `length in the answer to ${command}`);
  if (length < 0 || length > limit) throw protocolError(`${command} announces a block of ${length} bytes`);
  return yield* readBytes(length);
}

/** Lines up to a blank one. */
export function* readLines(command: string): Conversation<Buffer[]> {
  const lines: Buffer[] = [];
  for (let bytes = 0; ; ) {
    const line = yield* readLine();
    if (line.length === 0) return lines;
    // Every line costs an object besides its bytes.
    bytes += line.length + 128;
    if (bytes > MAX_LISTING) throw protocolError(`${command} answers with more than ${MAX_LISTING} bytes`);
    lines.push(line);
  }
}
