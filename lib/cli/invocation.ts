/** What a command line asks for, as far as that must be known before the rest of the program is loaded. */

/** Names under which the program is called. */
export type ProgramName = 'blcr' | 'blcr_wrapper';

/** The arguments of the classic script: a port and a period in second and third place. No subcommand takes such two. */
export function isClassic([, port = '', period = '']: readonly string[]): boolean {
  return /^\d+$/.test(port) && /^[\d.]/.test(period);
}

/** True when the signals that arrive are the job's: it is not known yet whether there will be one. */
export function hasJob(program: ProgramName, args: readonly string[]): boolean {
  if (program === 'blcr_wrapper' && (isClassic(args) || args[0] === '--auto')) return true;
  return args[0] === 'run' || args[0] === 'restart';
}
