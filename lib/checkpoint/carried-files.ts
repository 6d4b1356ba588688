/** Mapped files that travel with a context (BLCR's --save-exe, --save-private, --save-shared). */

import { CR_CHKPT_DUMP_EXEC, CR_CHKPT_DUMP_PRIVATE, CR_CHKPT_DUMP_SHARED } from './constants.ts';

/** The executable; what else is mapped privately, libraries above all; what is mapped shared. */
export type CarriedKind = 'exe' | 'private' | 'shared';

export const CARRIED_FLAGS: Readonly<Record<CarriedKind, number>> = {
  exe: CR_CHKPT_DUMP_EXEC,
  private: CR_CHKPT_DUMP_PRIVATE,
  shared: CR_CHKPT_DUMP_SHARED,
};
export const CARRIED_KINDS = Object.keys(CARRIED_FLAGS) as readonly CarriedKind[];

/** Flags of a checkpoint request. */
export function carriedFlags(kinds: readonly CarriedKind[]): number {
  return kinds.reduce((flags, kind) => flags | CARRIED_FLAGS[kind], 0);
}
