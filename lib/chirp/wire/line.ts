/** Request lines. */

import { UsageError } from '../../errors.ts';
import { MAX_REQUEST_LINE } from './limits.ts';

/**
 * Joins words to a request line with its LF.
 * @param words The command, encoded paths, words, and integers.
 * @throws {UsageError} ERR_CHIRP_LINE_TOO_LONG, ERR_USAGE for numbers that are not safe integers.
 */
export function requestLine(...words: readonly (string | number)[]): Buffer {
  for (const word of words) {
    if (typeof word === 'number' && !Number.isSafeInteger(word))
      throw new UsageError(`chirp ${words[0]}: ${word} is not an integer`);
  }
  const line = Buffer.from(`${words.join(' ')}\n`, 'latin1');
  if (line.length - 1 > MAX_REQUEST_LINE) {
    throw new UsageError(
      `chirp ${words[0]}: the encoded request has ${line.length - 1} bytes, the protocol carries ${MAX_REQUEST_LINE}`,
      {
        code: 'ERR_CHIRP_LINE_TOO_LONG',
      },
    );
  }
  return line;
}

/**
 * A word the server takes literally (subjects, attribute names, link targets): there is no encoding, so blanks and control characters cannot be carried.
 * The result holds one latin1 character per byte, as `requestLine` wants it.
 * @throws {UsageError} ERR_CHIRP_INVALID_NAME.
 */
export function plainWord(what: string, word: string | Uint8Array): string {
  const bytes = typeof word === 'string' ? Buffer.from(word) : Buffer.from(word);
  if (bytes.length === 0 || bytes.some((byte) => byte <= 0x20 || byte === 0x7f)) {
    throw new UsageError(
      `chirp cannot carry the ${what} ${JSON.stringify(bytes.toString())}: empty, or with blanks or control characters`,
      {
        code: 'ERR_CHIRP_INVALID_NAME',
      },
    );
  }
  return bytes.toString('latin1');
}
