/** Failures of local descriptors as errors of this package. */

import { SystemCallError } from '../../errors.ts';

export function systemCallError(error: NodeJS.ErrnoException): SystemCallError {
  return new SystemCallError(error.message, {
    code: error.code ?? 'EIO',
    errno: error.errno ?? -5,
    syscall: error.syscall ?? 'read',
    cause: error,
  });
}
