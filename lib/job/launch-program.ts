/** Starts a program so that it can be checkpointed, without store or schedule. */

import type { RunningProcess } from './engine.ts';
import { resolveExecutable } from './identity.ts';
import { systemEngine } from './system.ts';

export interface LaunchOptions {
  readonly args?: readonly string[];
  /** Default: the current directory. */
  readonly cwd?: string;
  /** Default: this process's environment. */
  readonly env?: NodeJS.ProcessEnv;
  /** Descriptors of this process for its stdin, stdout and stderr, default 0, 1, 2. */
  readonly stdio?: readonly [number, number, number];
  /** Told of descriptors that the program does not get, because they lead outside of what can be checkpointed. */
  readonly onLimitation?: (message: string) => void;
  /** As in RestartOptions. */
  readonly onStoreRequest?: () => Promise<unknown>;
}

/**
 * Launches a program under the keeper (with genuine BLCR: under cr_run). It dies with this process. Give its `target` to requestCheckpoint.
 * @param command Found through PATH when it has no slash.
 * @throws {UsageError} `ERR_JOB_NOT_FOUND`; {JobError} `ERR_JOB_NODE`, `ERR_JOB_LAUNCH`; {NativeLoadError} when no libcr can be loaded.
 * @example
 * const program = await launchProgram('./simulate', { args: ['7'] });
 * await requestCheckpoint({ target: program.target, to: fd });
 */
export async function launchProgram(command: string, options: LaunchOptions = {}): Promise<RunningProcess> {
  const { args = [], cwd = process.cwd(), env = process.env, stdio = [0, 1, 2] } = options;
  await resolveExecutable(command, cwd, env);
  const onLimitation = options.onLimitation ?? ((): void => undefined);
  const { onStoreRequest } = options;
  return await systemEngine().launch({
    ...{ command, args, cwd, env, stdio, onLimitation },
    ...(onStoreRequest === undefined ? {} : { onStoreRequest }),
  });
}
