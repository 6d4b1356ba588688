/** Limits of the server, measured against cctools 8.0.0-dev and 7.14.5. */

export const DEFAULT_PORT = 9094;
/** Bytes of a request line without its LF, encoding included; one more and the server hangs up without a word. */
export const MAX_REQUEST_LINE = 1023;
/** Bytes of one name in a path (answered with -24 by the server). */
export const MAX_COMPONENT = 255;
/** Bytes of a whole decoded path. */
export const MAX_PATH = 1023;
/** Bytes one pread or pwrite moves; more is silently cut. Also the server's limit for attribute and ticket bodies. */
export const MAX_BLOCK: number = 16 * 1024 * 1024;
/** Bytes we accept for a whole listing, ACL or the like, so that a hostile server cannot fill our memory. */
export const MAX_LISTING: number = 256 * 1024 * 1024;
/** Names that start so belong to the server (ACLs, allocation state). */
export const RESERVED_PREFIX = '.__';
