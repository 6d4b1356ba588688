/** The hash by which units are known. */
import * as cryptography from 'node:crypto';

/** SHA-256 in one call, which saves a seventh of the time of createHash() on a unit. Node 20 has `crypto.hash` from 20.12 on. */
export const unitHash: (content: Uint8Array) => Uint8Array =
  typeof cryptography.hash === 'function'
    ? (content) => cryptography.hash('sha256', content, 'buffer')
    : (content) => cryptography.createHash('sha256').update(content).digest();
