/** How long a connection waits and how much it sends ahead; see ChirpClientOptions for the meaning of each. */

export interface ConnectionLimits {
  readonly stallTimeoutMs: number;
  readonly slowTimeoutMs: number;
  readonly keepAliveMs: number;
  readonly maxPipelined: number;
}

/** Bytes of a body given to the socket in one write, so that progress is seen on slow lines. */
export const BODY_SLICE: number = 1024 * 1024;
