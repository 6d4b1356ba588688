/** How long a connection waits and how much it sends ahead; see ChirpClientOptions for the meaning of each. */

export interface ConnectionLimits {
  readonly stallTimeoutMs: number;
  readonly slowTimeoutMs: number;
  readonly keepAliveMs: number;
  readonly maxPipelined: number;
}
