/**
 * The native parts inside the single executable. Its launcher (native/launcher) has unpacked them to files without a name, which this process
 * inherits as descriptors; nothing of them stays behind when the last user has gone.
 */

export interface Bundle {
  /** Paths for dlopen and execve. They name this process, since children change their own descriptors before they execute anything. */
  readonly addon: string;
  readonly library: string;
  readonly keeper: string;
  /** Where the single executable itself is. */
  readonly executable: string;
}

/** Written by native/launcher: descriptors of addon, library and keeper, and the path of the executable. */
const VARIABLE = 'BLCR_BUNDLE';

/** Read by libcr, for which it is the only way to learn of a keeper that is not beside it. */
const KEEPER_VARIABLE = 'BLCR_KEEPER';

let current: Bundle | undefined;

/**
 * Takes over what the launcher has handed on, once, before anything native is used.
 * @returns undefined when this process was not started by the launcher.
 */
export function adoptBundle(environment: NodeJS.ProcessEnv = process.env): Bundle | undefined {
  const parts = /^(\d+):(\d+):(\d+):(.*)$/s.exec(environment[VARIABLE] ?? '');
  if (parts === null) return undefined;
  const [addon, library, keeper] = parts.slice(1, 4).map((fd) => `/proc/${process.pid}/fd/${fd}`);
  if (addon === undefined || library === undefined || keeper === undefined) return undefined;
  delete environment[VARIABLE];
  environment[KEEPER_VARIABLE] ??= keeper;
  current = { addon, library, keeper, executable: parts[4] ?? '' };
  return current;
}

export function currentBundle(): Bundle | undefined {
  return current;
}

/** `environment` without what is there for our libcr alone. */
export function withoutBundle(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  if (current === undefined || environment[KEEPER_VARIABLE] !== current.keeper) return environment;
  const { [KEEPER_VARIABLE]: _own, ...rest } = environment;
  return rest;
}
