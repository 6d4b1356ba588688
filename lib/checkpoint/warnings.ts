/** What a request that succeeded has to say all the same. */
import type { CheckpointWarning } from './types.ts';

/** Lines of a request's log that begin with a code, such as `WARN_LEFT_OUT: process 7 …`. */
export function warningsIn(log: string): readonly CheckpointWarning[] {
  return log.split('\n').flatMap((line) => {
    const [, code, message] = /^(WARN_[A-Z_]+): (.*)$/.exec(line) ?? [];
    return code === undefined || message === undefined ? [] : [{ code, message }];
  });
}
