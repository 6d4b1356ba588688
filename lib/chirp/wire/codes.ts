/** Result numbers of the wire. Source: chirp_protocol.h; every code the server maps an errno to. */

import { ChirpError } from '../../errors.ts';

const NAMES: Readonly<Record<number, string>> = {
  [-1]: 'NOT_AUTHENTICATED',
  [-2]: 'NOT_AUTHORIZED',
  [-3]: 'DOES_NOT_EXIST',
  [-4]: 'ALREADY_EXISTS',
  [-5]: 'TOO_BIG',
  [-6]: 'NO_SPACE',
  [-7]: 'NO_MEMORY',
  [-8]: 'INVALID_REQUEST',
  [-9]: 'TOO_MANY_OPEN',
  [-10]: 'BUSY',
  [-11]: 'TRY_AGAIN',
  [-12]: 'BAD_FD',
  [-13]: 'IS_DIRECTORY',
  [-14]: 'NOT_DIRECTORY',
  [-15]: 'NOT_EMPTY',
  [-16]: 'CROSS_DEVICE_LINK',
  [-17]: 'OFFLINE',
  [-18]: 'TIMED_OUT',
  [-19]: 'DISCONNECTED',
  [-20]: 'GROUP_UNREACHABLE',
  [-21]: 'NO_SUCH_JOB',
  [-22]: 'IS_A_PIPE',
  [-23]: 'NOT_SUPPORTED',
  [-24]: 'NAME_TOO_LONG',
  [-127]: 'UNKNOWN',
};

export const RESULT = { notAuthorized: -2, missing: -3, exists: -4, noSpace: -6, notDirectory: -14 } as const;

/** Busy, try again, no memory, offline, timed out, disconnected: the same request may succeed later. */
const PASSING: ReadonlySet<number> = new Set([-7, -10, -11, -17, -18, -19]);

/** `CHIRP_…` for a wire number; numbers nobody has documented are CHIRP_UNKNOWN. */
export function codeName(result: number): string {
  return `CHIRP_${NAMES[result] ?? 'UNKNOWN'}`;
}

/** The error for a negative answer. */
export function resultError(command: string, result: number, path?: string): ChirpError {
  const code = codeName(result);
  const where = path === undefined ? '' : ` ${path}`;
  const words = code.slice('CHIRP_'.length).toLowerCase().replaceAll('_', ' ');
  return new ChirpError(`chirp ${command}${where}: ${words} (${result})`, {
    code,
    command,
    result,
    retriable: PASSING.has(result),
    ...(path === undefined ? {} : { path }),
  });
}
