/** Names on the wire: percent-encoded bytes, judged before anything is sent. */

import { UsageError } from '../../errors.ts';
import type { ChirpPath } from '../types.ts';
import { MAX_COMPONENT, MAX_PATH, RESERVED_PREFIX } from './limits.ts';

export interface PathRules {
  /** Permit names that start with `.__`. */
  readonly allowReserved: boolean;
}

const SAFE = new Set(
  Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/._-+,:@=~^()[]{}!$&*;?#|`'),
);
const ENCODED: readonly string[] = Array.from({ length: 256 }, (_, byte) =>
  SAFE.has(byte) ? String.fromCharCode(byte) : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`,
);

/** The path for messages. */
export function displayPath(path: ChirpPath): string {
  return typeof path === 'string' ? path : Buffer.from(path.buffer, path.byteOffset, path.byteLength).toString();
}

export function pathBytes(path: ChirpPath): Buffer {
  return typeof path === 'string' ? Buffer.from(path) : Buffer.from(path.buffer, path.byteOffset, path.byteLength);
}

function refuse(path: ChirpPath, code: string, why: string): never {
  throw new UsageError(`chirp cannot carry the name ${JSON.stringify(displayPath(path).slice(0, 300))}: ${why}`, {
    code,
  });
}

/**
 * Encodes a path for a request line.
 * @throws {UsageError} ERR_CHIRP_INVALID_NAME (empty, NUL), ERR_CHIRP_NAME_TOO_LONG, ERR_CHIRP_RESERVED_NAME.
 */
export function encodePath(path: ChirpPath, rules: PathRules): string {
  const bytes = pathBytes(path);
  if (bytes.length === 0) refuse(path, 'ERR_CHIRP_INVALID_NAME', 'it is empty');
  // %00 would silently cut the name on the server.
  if (bytes.includes(0)) refuse(path, 'ERR_CHIRP_INVALID_NAME', 'it contains NUL');
  if (bytes.length > MAX_PATH) refuse(path, 'ERR_CHIRP_NAME_TOO_LONG', `longer than ${MAX_PATH} bytes`);
  // latin1 keeps one character per byte, so lengths below are byte lengths.
  for (const component of bytes.toString('latin1').split('/')) {
    if (component.length > MAX_COMPONENT)
      refuse(path, 'ERR_CHIRP_NAME_TOO_LONG', `a part is longer than ${MAX_COMPONENT} bytes`);
    if (!rules.allowReserved && component.startsWith(RESERVED_PREFIX)) {
      refuse(
        path,
        'ERR_CHIRP_RESERVED_NAME',
        `names starting with ${RESERVED_PREFIX} hold the server's access control`,
      );
    }
  }
  let encoded = '';
  for (const byte of bytes) encoded += ENCODED[byte];
  return encoded;
}

/** Directory part of a path, for placing temporary names beside it. */
export function parentOf(path: ChirpPath): Buffer {
  const bytes = trimSlashes(pathBytes(path));
  const cut = bytes.lastIndexOf(0x2f);
  return cut <= 0 ? Buffer.from('/') : bytes.subarray(0, cut);
}

/** The path without slashes at its end. */
export function trimSlashes(bytes: Buffer): Buffer {
  let end = bytes.length;
  while (end > 1 && bytes[end - 1] === 0x2f) end -= 1;
  return bytes.subarray(0, end);
}
