/** `node-blcr/chirp`: a client of cctools' Chirp file servers. Usable without the rest of the package. */

export {
  BlcrError,
  ChirpAuthError,
  ChirpConnectionError,
  ChirpError,
  ChirpProtocolError,
  isBlcrError,
  SystemCallError,
  UsageError,
} from '../errors.ts';
export type { Acl } from './acl.ts';
export { ticketName, ticketPublicKey } from './auth/ticket.ts';
export { ChirpClient } from './client.ts';
export type { ChirpFile } from './file.ts';
export type { ChirpOperations } from './operations.ts';
export { ChirpPool } from './pool.ts';
export type { Tickets } from './tickets.ts';
export type {
  AuthMethod,
  ChirpAclEntry,
  ChirpClientOptions,
  ChirpEntry,
  ChirpIdentity,
  ChirpPath,
  ChirpStat,
  ChirpStatfs,
  DescriptorRange,
  GetBufferOptions,
  GetTarget,
  PutOptions,
  PutSource,
  RequestOptions,
  TicketInfo,
  TransferOptions,
  TransferProgress,
} from './types.ts';
export type { ExtendedAttributes } from './xattr.ts';
